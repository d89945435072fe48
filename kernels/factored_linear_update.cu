#include <string_view>

#include "common/context.cuh"
#include "factored_linear_update.cuh"
#include "sea/detail/checks/dense.hpp"
#include "tuned.cuh"

namespace sea {

namespace {

__global__ void adam_step_kernel(AdamSettings settings, const OptimizerState* state, cuda::AdamStep* step) {
  *step = cuda::adam_step(settings, state->learning_rate, state->step + 1);
}

template <class Finish>
void start(const cuda::Context& context, const char* name, const cuda::StackedHeads& heads,
           ConstMatrixView dm, bool aligned, const Finish& finish) {
  const auto in = [&]<MatmulPrecision precision>() {
    cuda::start_update<cuda::tuned::UpdateTiling, precision>(context.stream, name, heads, dm, aligned,
                                                             finish);
  };
  const std::string_view precision = context.blas.precision_name();
  if (precision == "float32") {
    in.template operator()<MatmulPrecision::float32>();
  } else if (precision == "tf32") {
    in.template operator()<MatmulPrecision::tf32>();
  } else {
    in.template operator()<MatmulPrecision::tf32x3>();
  }
}

}  // namespace

void CudaBackend::factored_linear_weight_gradient(std::span<const LinearHead> heads, ConstMatrixView dm,
                                                  MatrixView dweight, Workspace) {
  const char* name = "factored_linear_weight_gradient";
  checks::factored_linear_weight_gradient(heads, dm, dweight);
  const cuda::StackedHeads stacked(heads, dweight.rows);
  start(*context_, name, stacked, dm, cuda::update_aligned(stacked, dm) && cuda::rows_aligned(dweight),
        cuda::StoreGradient{dweight});
}

void CudaBackend::factored_linear_update(std::span<const LinearHead> heads, ConstMatrixView dm,
                                         MatrixView weight, MatrixView first_moment, MatrixView second_moment,
                                         const AdamSettings& settings, const OptimizerState* state,
                                         Workspace workspace) {
  const char* name = "factored_linear_update";
  checks::factored_linear_update(heads, dm, weight, first_moment, second_moment);
  const cuda::StackedHeads stacked(heads, weight.rows);
  auto* step = cuda::Scratch(name, workspace).take<cuda::AdamStep>(1);
  cuda::launch(context_->stream, name, {dim3(1), dim3(1)}, &adam_step_kernel, settings, state, step);
  const bool aligned = cuda::update_aligned(stacked, dm) && cuda::rows_aligned(weight) &&
                       cuda::rows_aligned(first_moment) && cuda::rows_aligned(second_moment);
  start(*context_, name, stacked, dm, aligned, cuda::UpdateWeight{weight, first_moment, second_moment, step});
}

}  // namespace sea
