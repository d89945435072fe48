# Where the headers and libraries of CUDA are that are not part of its compiler: in the toolkit, else in the folders
# that Python packages bring (nvidia/cu13, or nvidia/NAME for CUDA 12).

# sea_find_cuda_toolkit(): as find_package(CUDAToolkit REQUIRED). The module of CMake 3.25, for a project that asks for
# 3.25, ends with an error where there is no nvToolsExt, as in CUDA 13.
macro(sea_find_cuda_toolkit)
  set(SEA_MINIMUM_REQUIRED_VERSION ${CMAKE_MINIMUM_REQUIRED_VERSION})
  set(CMAKE_MINIMUM_REQUIRED_VERSION 3.24)
  find_package(CUDAToolkit REQUIRED)
  set(CMAKE_MINIMUM_REQUIRED_VERSION ${SEA_MINIMUM_REQUIRED_VERSION})
endmacro()

# sea_find_cuda_library(NAME HEADER): sets SEA_CUDA_NAME_INCLUDE and SEA_CUDA_NAME_LIBRARY, false where there is none.
function(sea_find_cuda_library name header)
  set(include FALSE)
  set(library FALSE)
  foreach(folder IN LISTS CUDAToolkit_INCLUDE_DIRS)
    if(NOT include AND EXISTS ${folder}/${header})
      set(include ${folder})
    endif()
  endforeach()
  file(GLOB found ${CUDAToolkit_LIBRARY_DIR}/lib${name}.so ${CUDAToolkit_LIBRARY_DIR}/lib${name}.so.*)
  if(found)
    list(GET found 0 library)
  endif()

  if(NOT include OR NOT library)
    sea_python_folders(folders)
    foreach(folder IN LISTS folders)
      if(CUDAToolkit_VERSION_MAJOR GREATER_EQUAL 13)
        string(APPEND folder /nvidia/cu${CUDAToolkit_VERSION_MAJOR})
      else()
        string(APPEND folder /nvidia/${name})
      endif()
      file(GLOB found ${folder}/lib/lib${name}.so ${folder}/lib/lib${name}.so.*)
      if(EXISTS ${folder}/include/${header} AND found)
        list(GET found 0 library)
        # These headers alone: beside them may lie a whole CUDA of another version.
        set(include ${PROJECT_BINARY_DIR}/cuda_headers/${name})
        file(GLOB headers ${folder}/include/${name}*.h)
        file(COPY ${headers} DESTINATION ${include})
        message(STATUS "${name} comes from ${folder}")
        break()
      endif()
    endforeach()
  endif()

  string(TOUPPER ${name} name)
  set(SEA_CUDA_${name}_INCLUDE ${include} PARENT_SCOPE)
  set(SEA_CUDA_${name}_LIBRARY ${library} PARENT_SCOPE)
endfunction()

# Where this machine's Python looks for packages; nothing where there is no Python.
function(sea_python_folders variable)
  execute_process(COMMAND python3 -c "import sys; print(';'.join(folder for folder in sys.path if folder))"
                  OUTPUT_VARIABLE folders OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(folders)
  endif()
  set(${variable} ${folders} PARENT_SCOPE)
endfunction()
