// folio-model-maker: writes a GGUF model of any Llama shape with random weights, to measure speed and memory.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <list>
#include <string>

#include "app/progress_bar.h"
#include "model_shape.h"
#include "platform/cpu.h"
#include "recipe.h"
#include "write_model.h"

namespace folio::model_maker {
namespace {

struct Options {
  std::string shape, type = "q4_0", out;
  std::uint64_t seed = 1;
  std::uint32_t threads = 0;
  ModelShape numbers;             // from flags of their own
  std::list<CLI::Option*> given;  // of those flags, in the order of shape_fields()
};

void define(CLI::App& app, Options& options) {
  app.add_option("--shape", options.shape,
                 "1b, 3b or 8b, or a JSON file of the numbers below (\"kv_heads\": 8)");
  app.add_option("--type", options.type, "weights: " + weight_type_names() + " (default q4_0)");
  app.add_option("--out", options.out, "the GGUF file to write")->required();
  app.add_option("--seed", options.seed, "other weights for another number (default 1)");
  app.add_option("--threads", options.threads, "default 0: as many as affinity and cgroup allow")
      ->check(CLI::Range(0u, 256u));
  for (const ShapeField& field : shape_fields()) {
    std::string flag = "--" + std::string(field.name);
    std::ranges::replace(flag, '_', '-');
    options.given.push_back(app.add_option(flag, options.numbers.*field.number, std::string(field.help))
                                ->group("Numbers of the shape"));
  }
  app.footer(
      "The same shape, type and seed give the same bytes on every machine. The text of such a model means\n"
      "nothing; its speed and memory are those of a real one of that shape.\n"
      "  folio-model-maker --shape 1b --type q8_0 --out 1b.gguf\n"
      "  folio-model-maker --hidden 512 --layers 8 --heads 8 --ffn 1536 --vocab 32000 --out small.gguf");
}

// The named shape, or none; then the numbers that have flags of their own.
Result<ModelShape> chosen_shape(const Options& options) {
  ModelShape shape{.name = "free"};
  if (!options.shape.empty()) {
    if (const ModelShape* known = known_shape(options.shape)) {
      shape = *known;
    } else {
      if (!options.shape.ends_with(".json"))
        return fail(ErrorKind::kInvalid, "--shape takes 1b, 3b, 8b or a file NAME.json, not '{}'",
                    options.shape);
      FOLIO_TRY(read, read_shape(options.shape));
      shape = read;
    }
  }
  auto given = options.given.begin();
  for (const ShapeField& field : shape_fields())
    if ((*given++)->count() > 0) shape.*field.number = options.numbers.*field.number;
  return complete(std::move(shape));
}

Status make(const Options& options) {
  const auto type = weight_type(options.type);
  if (!type) return fail(ErrorKind::kInvalid, "--type knows {}, not '{}'", weight_type_names(), options.type);
  FOLIO_TRY(shape, chosen_shape(options));
  FOLIO_TRY(recipe, dense_llama(shape, *type));
  app::ProgressBar bar("making " + std::filesystem::path(options.out).filename().string());
  return write_model(
      recipe,
      {.path = options.out,
       .seed = options.seed,
       .threads = options.threads == 0 ? platform::available_cpus() : static_cast<int>(options.threads),
       .progress = [&bar](std::size_t done, std::size_t total) { bar.update(done, total); }});
}

}  // namespace
}  // namespace folio::model_maker

int main(int argc, char** argv) {
  using namespace folio::model_maker;
  CLI::App app("A GGUF model of a Llama shape with random weights.", "folio-model-maker");
  Options options;
  define(app, options);
  CLI11_PARSE(app, argc, argv);
  const folio::Status made = make(options);
  if (made) return 0;
  fmt::print(stderr, "folio-model-maker: {}\n", made.error().message);
  return 1;
}
