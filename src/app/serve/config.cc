// The three sources of options: a YAML file, the environment, the command line. The only user of the YAML
// library.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/serve/options.h"
#include "app/serve/vllm_spelling.h"
#include "platform/file.h"

namespace folio::app {
namespace {

constexpr std::size_t kMaxConfigBytes = 1u << 20;
constexpr std::size_t kMaxConfigDepth = 32;
constexpr std::size_t kMaxConfigNodes = 10'000;  // anchors expanded

using Json = nlohmann::ordered_json;

// What a node says as JSON; `nodes` counts down. nullopt: too deep, or too much.
std::optional<Json> json_of(const YAML::Node& node, std::size_t depth, std::size_t& nodes) {
  if (depth == 0 || nodes == 0) return std::nullopt;
  --nodes;
  if (node.IsScalar()) {
    const bool in_quotes = node.Tag() == "!";
    const Json json = in_quotes ? Json() : Json::parse(node.Scalar(), nullptr, false);
    return json.is_number() || json.is_boolean() ? json : Json(node.Scalar());
  }
  Json json = node.IsMap() ? Json::object() : node.IsSequence() ? Json::array() : Json();
  for (const auto& entry : node) {
    const YAML::Node inner = node.IsMap() ? entry.second : YAML::Node(entry);
    const auto value = json_of(inner, depth - 1, nodes);
    if (!value) return std::nullopt;
    if (node.IsMap())
      json[entry.first.as<std::string>()] = *value;
    else
      json.push_back(*value);
  }
  return json;
}

// `flag: value`, `flag: [value, value]`, and for a flag that takes JSON `flag: {key: value}` and
// `flag.key: value`. Errors: what is wrong with it, without its name.
Status read_entry(const std::string& name, const YAML::Node& node, std::size_t& nodes, Assignments& found) {
  const std::string flag = name.substr(0, name.find('.'));
  const bool is_list = node.IsSequence() && flag == name;
  for (std::size_t i = 0; i < (is_list ? node.size() : 1); ++i) {
    const YAML::Node value = is_list ? node[i] : node;
    if (value.IsNull()) return fail(ErrorKind::kInvalid, "is followed by no value");
    std::string text;
    if (value.IsScalar()) {
      text = value.Scalar();
    } else {
      const auto json = json_of(value, kMaxConfigDepth, nodes);
      if (!json)
        return fail(ErrorKind::kTooLarge, "is nested more than {} deep, or the file has more than {} values",
                    kMaxConfigDepth, kMaxConfigNodes);
      text = json->dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    found.emplace_back(flag, flag == name ? text : json_of_part(name, text));
  }
  return {};
}

std::string environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

// "max-model-len" -> "FOLIO_MAX_MODEL_LEN"
std::string variable_of(std::string_view flag) {
  std::string name = "FOLIO_";
  for (const char c : flag)
    name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

Assignments of_environment(std::span<const Flag> flags) {
  Assignments found;
  if (const std::string key = environment("VLLM_API_KEY"); !key.empty()) found.emplace_back("api-key", key);
  if (const std::string gib = environment("VLLM_CPU_KVCACHE_SPACE"); !gib.empty())
    found.emplace_back("kv-cache-memory-bytes", gib + "G");
  if (environment("VLLM_SERVER_DEV_MODE") == "1") found.emplace_back("dev-mode", "true");
  for (const Flag& flag : flags)
    if (const std::string value = environment(variable_of(flag.name()));
        !value.empty() && !flag.group.empty())
      found.emplace_back(flag.name(), value);
  return found;
}

// `no-x: true` of a file is `x: false`.
void turn_negations(std::span<const Flag> flags, Assignments& assignments) {
  for (auto& [name, value] : assignments) {
    const auto flag = std::ranges::find_if(
        flags, [&](const Flag& f) { return f.takes == Takes::kNothing && opposite(f.name()) == name; });
    if (flag == flags.end()) continue;
    name = std::string(flag->name());
    value = value == "true" ? "false" : value == "false" ? "true" : value;
  }
}

Status check_tls(const server::TlsFiles& tls) {
  if (tls.certificate.empty() && (!tls.key.empty() || !tls.authorities.empty()))
    return fail(ErrorKind::kInvalid, "--ssl-{} needs --ssl-certfile, the server's certificate",
                tls.key.empty() ? "ca-certs" : "keyfile");
  const bool asks = tls.clients != server::ClientCertificates::kIgnore;
  if (asks && tls.authorities.empty())
    return fail(ErrorKind::kInvalid, "--ssl-cert-reqs needs --ssl-ca-certs, those who sign the certificates");
  if (!asks && !tls.authorities.empty())
    return fail(ErrorKind::kInvalid, "--ssl-ca-certs does nothing without --ssl-cert-reqs 1 or 2");
  return {};
}

Status check_host(const server::HttpOptions& http) {
  if (!http.host.empty() || !http.unix_socket.empty()) return {};
  return fail(ErrorKind::kInvalid, "--host takes an address, e.g. 127.0.0.1, not an empty text");
}

Status check_keys(const ServeOptions& options) {
  if (!options.gate.api_keys.empty()) return {};
  const char* idle = options.tenants == server::Tenants::kByKey                 ? "--isolate-api-keys"
                     : options.engine.fairness == scheduler::Fairness::kTenants ? "--fair-api-keys"
                                                                                : nullptr;
  if (idle == nullptr) return {};
  return fail(ErrorKind::kInvalid, "{} does nothing without API keys; give them with --api-key", idle);
}

Status check_kv_size(const ServeOptions& options) {
  if (options.kv_bytes && options.kv_blocks)
    return fail(
        ErrorKind::kInvalid,
        "--kv-cache-memory-bytes {} and --num-gpu-blocks-override {} both say how large the KV cache is; "
        "give one of them",
        *options.kv_bytes, *options.kv_blocks);
  return {};
}

std::string config_file(const Assignments& command_line) {
  std::string path = environment("FOLIO_CONFIG");
  for (const auto& [name, value] : command_line)
    if (name == "config") path = value;
  return path;
}

}  // namespace

Result<Assignments> read_config_file(const std::string& path) {
  FOLIO_TRY(text, platform::read_regular_file(path, kMaxConfigBytes));
  Assignments found;
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return found;
    if (!root.IsMap()) return fail(ErrorKind::kInvalid, "{}: is no list of 'flag: value' lines", path);
    std::size_t nodes = kMaxConfigNodes;
    for (const auto& entry : root) {
      const std::string name = with_dashes(entry.first.as<std::string>());
      if (auto read = read_entry(name, entry.second, nodes, found); !read)
        return fail(read.error().kind, "{}: '{}' {}", path, name, read.error().message);
    }
  } catch (const YAML::Exception& error) {
    return fail(ErrorKind::kInvalid, "{}: is no YAML: line {}: {}", path, error.mark.line + 1, error.msg);
  }
  return found;
}

Result<ServeOptions> resolve_serve(const Assignments& command_line) {
  ServeOptions options;
  const Command serve = describe_serve(options);
  if (const std::string path = config_file(command_line); !path.empty()) {
    FOLIO_TRY(of_file, read_config_file(path));
    turn_negations(serve.flags, of_file);
    FOLIO_TRY_STATUS(apply_flags(serve, of_file, path + ": "));
  }
  FOLIO_TRY_STATUS(apply_flags(serve, of_environment(serve.flags), "environment: "));
  FOLIO_TRY_STATUS(apply_flags(serve, command_line, ""));
  FOLIO_TRY_STATUS(check_tls(options.http.tls));
  FOLIO_TRY_STATUS(check_kv_size(options));
  FOLIO_TRY_STATUS(check_keys(options));
  FOLIO_TRY_STATUS(check_host(options.http));
  return options;
}

}  // namespace folio::app
