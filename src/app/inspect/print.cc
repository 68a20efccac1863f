#include "app/inspect/print.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "app/console.h"
#include "app/status_line.h"
#include "text/utf8.h"

namespace folio::app {
namespace {

using Json = nlohmann::ordered_json;

std::string safe(std::string_view bytes) {
  std::string text;
  text::Utf8Repair repair;
  repair.push(bytes, text);
  repair.finish(text);
  return without_controls(text);
}

// One value on one line: texts without quotes, the rest as JSON.
std::string one_line(const Json& value) {
  if (value.is_null()) return "-";
  if (!value.is_string()) return safe(value.dump(-1, ' ', false, Json::error_handler_t::replace));
  std::string text = safe(value.get_ref<const std::string&>());
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 2))
    text.replace(at, 1, "\\n");
  return text;
}

void print_fields(const Json& object, std::string_view indent, std::string& out) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      out += fmt::format("{}{}:\n", indent, safe(key));
      print_fields(value, fmt::format("{}  ", indent), out);
    } else if (key == "numa_nodes") {
      for (const Json& node : value)
        out += fmt::format("{}{:<24} {} cores, {} hardware threads, {}\n", indent,
                           fmt::format("node {}", node["node"].get<int>()), node["cores"].get<int>(),
                           node["hardware_threads"].get<int>(),
                           format_bytes(node["memory_bytes"].get<std::uint64_t>()));
    } else if (key.ends_with("bytes") || key.starts_with("bytes")) {
      out += fmt::format("{}{:<24} {} ({})\n", indent, key, format_count(value.get<std::uint64_t>()),
                         format_bytes(value.get<std::uint64_t>()));
    } else {
      out += fmt::format("{}{:<24} {}\n", indent, safe(key), one_line(value));
    }
  }
}

void print_metadata(const Json& metadata, std::string& out) {
  for (const auto& [key, entry] : metadata.items()) {
    const bool typed = entry.is_object() && entry.contains("type") && entry.contains("value");
    if (!typed) {
      out += fmt::format("  {} = {}\n", safe(key), one_line(entry));
      continue;
    }
    const Json& value = entry["value"];
    const bool array = value.is_object();
    const std::string more = array && value["elements"] > value["first"].size() ? " ..." : "";
    out += fmt::format("  {} = {}{}  ({})\n", safe(key), one_line(array ? value["first"] : value), more,
                       entry["type"].get_ref<const std::string&>());
  }
}

std::string tensor_count(const Json& count) {
  return fmt::format("{} tensor{}", count.get<std::uint64_t>(), count == 1 ? "" : "s");
}

void print_tensors(const Json& tensors, std::string& out) {
  std::size_t widest = 10;
  for (const Json& tensor : tensors["list"])
    widest = std::clamp(tensor["name"].get_ref<const std::string&>().size(), widest, std::size_t{60});
  for (const Json& tensor : tensors["list"]) {
    const auto shape = tensor["shape"].get<std::vector<std::uint64_t>>();
    out += fmt::format("  {:<{}}  {:<8} {:<20} {:>15}\n", safe(tensor["name"].get_ref<const std::string&>()),
                       widest, tensor["type"].get_ref<const std::string&>(),
                       fmt::format("[{}]", fmt::join(shape, ", ")),
                       format_count(tensor["bytes"].get<std::uint64_t>()));
  }
  for (const Json& total : tensors["by_type"])
    out += fmt::format("  {:<{}}  {:<8} {:<20} {:>15}\n", "", widest,
                       total["type"].get_ref<const std::string&>(), tensor_count(total["count"]),
                       format_count(total["bytes"].get<std::uint64_t>()));
  out += fmt::format("  {:<{}}  {:<8} {:<20} {:>15}\n", "", widest, "all", tensor_count(tensors["count"]),
                     format_count(tensors["bytes"].get<std::uint64_t>()));
  for (const Json& tensor : tensors["unused"])
    out += fmt::format("  {:<{}}  {:<8} no type of weights; not read\n",
                       safe(tensor["name"].get_ref<const std::string&>()), widest,
                       safe(tensor["type"].get_ref<const std::string&>()));
}

void print_template(const Json& chat_template, std::string& out) {
  out += fmt::format("  name: {}\n", one_line(chat_template["name"]));
  const std::string source = safe(chat_template["source"].get_ref<const std::string&>());
  for (std::size_t start = 0; start < source.size();) {
    const std::size_t end = std::min(source.find('\n', start), source.size());
    out += "  | " + source.substr(start, end - start) + "\n";
    start = end + 1;
  }
}

void print_kv(const Json& kv, std::string& out) {
  const auto count = [&](const char* key) { return format_count(kv[key].get<std::uint64_t>()); };
  out += fmt::format("  {}\n", kv["formula"].get_ref<const std::string&>());
  out += fmt::format("  {} bytes per token ({} of them padding), {} bytes per block of {} tokens\n",
                     count("bytes_per_token"), count("padding_bytes_per_token"), count("bytes_per_block"),
                     count("block_tokens"));
  out += fmt::format("  a context of {} tokens takes {} blocks x {} bytes = {}; {} of memory are available\n",
                     count("context_tokens"), count("blocks"), count("bytes_per_block"),
                     format_bytes(kv["bytes"].get<std::uint64_t>()),
                     format_bytes(kv["available_memory_bytes"].get<std::uint64_t>()));
  const Json& run = kv["run"];
  if (run.contains("error")) {
    out += fmt::format("  folio run with this context: {}\n", one_line(run["error"]));
    return;
  }
  out += fmt::format("  folio run with this context takes {} at most:\n",
                     format_bytes(run["bytes"].get<std::uint64_t>()));
  for (const auto& [tag, bytes] : run["lines"].items())
    out += fmt::format("    {:<24}{:>12}\n", tag, format_bytes(bytes.get<std::uint64_t>()));
}

}  // namespace

std::string print_report(const Json& report) {
  std::string out;
  for (const auto& [section, content] : report.items()) {
    out += fmt::format("{}{}\n", out.empty() ? "" : "\n", section);
    if (content.contains("error") && content["error"].is_string())
      out += "  " + one_line(content["error"]) + "\n";
    else if (section == "metadata")
      print_metadata(content, out);
    else if (section == "tensors")
      print_tensors(content, out);
    else if (section == "template")
      print_template(content, out);
    else if (section == "kv")
      print_kv(content, out);
    else
      print_fields(content, "  ", out);
  }
  return out;
}

}  // namespace folio::app
