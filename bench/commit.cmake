# Writes a header with the commit that is built, where it has changed: cmake -DSOURCE=... -DHEADER=... -P commit.cmake
execute_process(COMMAND git describe --always --dirty --abbrev=40 --exclude=* WORKING_DIRECTORY ${SOURCE}
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
endif()
file(WRITE ${HEADER}.new "#pragma once\n\nnamespace sea::bench {\n\nconstexpr const char* commit = \"${commit}\";\n\n}\n")
file(COPY_FILE ${HEADER}.new ${HEADER} ONLY_IF_DIFFERENT)
