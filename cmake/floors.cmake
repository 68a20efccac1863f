# How every target is compiled, and folio_floor(): one static library and one test program per folder of src/.

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Wno-missing-field-initializers)
# Results are part of the product: no contraction, no fast-math (see "three numeric contracts" in ARCHITECTURE.md).
add_compile_options(-ffp-contract=off -fno-math-errno -ffunction-sections)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-march=x86-64-v2)
endif()
# Hardening: a bug in code that reads hostile bytes ends the program instead of serving them. tests/tidy/check_hardening.py
# reads the result from build/folio. No -fcf-protection: the Rust library is not built with it, and the linker marks a
# program as protected only if every part is.
add_compile_options(-fPIE)
add_link_options(-pie -Wl,-z,relro,-z,now)
add_compile_definitions(_GLIBCXX_ASSERTIONS)
if(NOT FOLIO_SANITIZE)
  # -U: some distributions' compilers define a lower level by themselves. Unoptimised code has no checked variants.
  add_compile_options(-fstack-protector-strong -U_FORTIFY_SOURCE $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>)
endif()
if(FOLIO_SANITIZE)
  add_compile_options(-fsanitize=${FOLIO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${FOLIO_SANITIZE})
  if(FOLIO_SANITIZE STREQUAL "thread")
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)  # ThreadSanitizer does not know fences
  endif()
endif()
find_program(FOLIO_MOLD mold)
if(FOLIO_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
find_program(FOLIO_CCACHE ccache)
if(FOLIO_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${FOLIO_CCACHE})
endif()

# Instruction sets are chosen at run time; only files of these names may use more than x86-64-v2.
function(folio_isa_flags)
  # GCC 12 takes the undefined pass-through operands of its own intrinsics for uninitialised reads.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(intrinsic_warnings "-Wno-uninitialized;-Wno-maybe-uninitialized;")
  endif()
  # Nothing reaches these that was not checked, and their loops call nothing.
  set(bare "-fno-exceptions;-fno-stack-protector")
  foreach(file ${ARGN})
    if(file MATCHES "x86_avx2\\.cc$")
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${bare};-mavx2;-mfma;-mf16c")
    elseif(file MATCHES "x86_avx_vnni\\.cc$")
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${bare};-mavx2;-mfma;-mf16c;-mavxvnni")
    elseif(file MATCHES "x86_(avx_vnni_model|avx512|avx512_bf16|amx)\\.cc$")
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
        "${bare};${intrinsic_warnings}-mavx2;-mfma;-mf16c;-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vnni;-mprefer-vector-width=512")
    endif()
  endforeach()
endfunction()

# Code that computes nothing at length: under sanitizers half of the time that compiling takes goes into optimising it.
function(folio_fast_to_compile target)
  if(FOLIO_SANITIZE)
    target_compile_options(${target} PRIVATE -O0)
  endif()
endfunction()

# folio_floor(NAME LIBS lib...): src/NAME/**/*.cc -> folio_NAME; src/NAME/**/*_test.cc -> NAME_test.
function(folio_floor name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "(_test|main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  folio_isa_flags(${sources})
  if(sources)
    add_library(folio_${name} STATIC ${sources})
    target_include_directories(folio_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(folio_${name} PUBLIC ${ARG_LIBS})
    if(name MATCHES "^(hub|api|server|app)$")
      folio_fast_to_compile(folio_${name})
    endif()
  else()
    add_library(folio_${name} INTERFACE)
    target_include_directories(folio_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(folio_${name} INTERFACE ${ARG_LIBS})
  endif()
  if(FOLIO_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    folio_fast_to_compile(${name}_test)
    target_compile_options(${name}_test PRIVATE $<$<CONFIG:Release>:-O1>)  # -O3 takes 1.7 times as long
    find_library(FOLIO_RAPIDCHECK rapidcheck REQUIRED)
    target_link_libraries(${name}_test PRIVATE folio_${name} gtest gmock gtest_main ${FOLIO_RAPIDCHECK})
    set_property(GLOBAL APPEND PROPERTY FOLIO_TEST_PROGRAMS ${name}_test)
  endif()
endfunction()
