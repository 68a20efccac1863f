#include "model/unread_tensors.h"

#include <algorithm>
#include <iterator>

namespace folio::model {
namespace {

// What follows from the configuration.
constexpr std::string_view kTables[] = {
    ".rotary_emb.inv_freq",  ".rotary_emb.cos_cached", ".rotary_emb.sin_cached", ".attn_rot_embd",
    ".attn_rot_embd.weight", ".attn.masked_bias",      ".attention.masked_bias", ".position_ids"};

// Pictures and sound, and the way from them into the text model. After "model." too.
constexpr std::string_view kTowers[] = {"vision_tower.", "vision_model.",
                                        "visual.",       "multi_modal_projector.",
                                        "mm_projector.", "image_newline",
                                        "audio_tower.",  "v.",
                                        "mm.",           "a."};

// Multi-token prediction.
constexpr std::string_view kPredictors[] = {"mtp.", "mtp_layers.", "nextn."};

// GPT-2 and its kin keep their causal mask in the file: ones and zeros over [1, 1, context, context].
bool is_causal_mask(std::string_view name, std::span<const std::uint64_t> shape) {
  return (name.ends_with(".attn.bias") || name.ends_with(".attention.bias")) && shape.size() == 4;
}

}  // namespace

bool may_stay_unread(std::string_view name, std::span<const std::uint64_t> shape) {
  const auto ends = [&](std::string_view table) { return name.ends_with(table); };
  if (std::ranges::any_of(kTables, ends) || is_causal_mask(name, shape)) return true;
  if (name.contains(".nextn.")) return true;  // blk.N.nextn.eh_proj.weight
  if (name.starts_with("model.")) name.remove_prefix(std::string_view("model.").size());
  const auto begins = [&](std::string_view part) { return name.starts_with(part); };
  return std::ranges::any_of(kTowers, begins) || std::ranges::any_of(kPredictors, begins);
}

}  // namespace folio::model
