#pragma once

namespace sea::cuda {

// PTX ISA: ex2.approx.ftz.f32 has an error of at most 2 units in the last place, rcp.approx.ftz.f32 of 1.
// Here the error is as large as that may be, and drawn from the argument.
float exp2_approx(float x);
float reciprocal_approx(float x);

}  // namespace sea::cuda
