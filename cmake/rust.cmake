# folio_rust: the one Rust static library (tokenizers and chat templates) behind rust/folio_rust.h.
find_program(FOLIO_CARGO cargo HINTS $ENV{HOME}/.cargo/bin REQUIRED)
set(rust_target ${CMAKE_BINARY_DIR}/rust)
set(rust_lib ${rust_target}/release/libfolio_rust.a)
file(GLOB_RECURSE rust_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/rust/src/*.rs)
# Sanitized and fuzzing builds share the plain library: Rust code is not instrumented.
set(FOLIO_RUST_TARGET "" CACHE PATH "cargo target directory to share between build trees")
if(FOLIO_RUST_TARGET)
  set(rust_target ${FOLIO_RUST_TARGET})
  set(rust_lib ${rust_target}/release/libfolio_rust.a)
endif()
add_custom_command(
  OUTPUT ${rust_lib}
  COMMAND ${CMAKE_COMMAND} -E env CARGO_TARGET_DIR=${rust_target}
          ${FOLIO_CARGO} build --release --locked --quiet --manifest-path ${PROJECT_SOURCE_DIR}/rust/Cargo.toml
  DEPENDS ${rust_sources} ${PROJECT_SOURCE_DIR}/rust/Cargo.toml ${PROJECT_SOURCE_DIR}/rust/Cargo.lock
  COMMENT "Building the Rust library (tokenizers, chat templates)" VERBATIM)
add_custom_target(folio_rust_build DEPENDS ${rust_lib})
add_library(folio_rust INTERFACE)
add_dependencies(folio_rust folio_rust_build)
target_include_directories(folio_rust INTERFACE ${PROJECT_SOURCE_DIR}/rust)
target_link_libraries(folio_rust INTERFACE ${rust_lib} dl m)
