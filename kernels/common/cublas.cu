#include <string>

#include "common/check.cuh"
#include "common/cublas.cuh"

#if !defined(SEA_SIMT)
#include <dlfcn.h>
#endif

namespace sea::cuda {

#if defined(SEA_SIMT)

const Cublas& cublas() {
  static const Cublas functions{&cublasCreate,       &cublasDestroy,         &cublasSetStream,
                                &cublasSetWorkspace, &cublasGetStatusString, &cublasGemmEx};
  return functions;
}

#else

namespace {

/// Where the loader looks for libraries, else where the toolkit had it that this was built with.
void* load() {
  const std::string name = "libcublas.so." + std::to_string(CUBLAS_VER_MAJOR);
  for (const std::string& file : {name, std::string(SEA_CUBLAS_FOLDER) + '/' + name}) {
    if (void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL); library != nullptr) return library;
  }
  throw Error("CudaBackend: cuBLAS cannot be loaded: " + std::string(dlerror()));
}

template <class Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  require(function != nullptr, "CudaBackend", "the cuBLAS that was found lacks a function");
}

Cublas load_functions() {
  void* library = load();  // never unloaded
  Cublas functions;
  find(library, "cublasCreate_v2", functions.create);
  find(library, "cublasDestroy_v2", functions.destroy);
  find(library, "cublasSetStream_v2", functions.set_stream);
  find(library, "cublasSetWorkspace_v2", functions.set_workspace);
  find(library, "cublasGetStatusString", functions.status_string);
  find(library, "cublasGemmEx", functions.gemm_ex);
  return functions;
}

}  // namespace

const Cublas& cublas() {
  static const Cublas functions = load_functions();
  return functions;
}

#endif

}  // namespace sea::cuda
