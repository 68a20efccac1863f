// Writes safetensors files for tests.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace folio::test {

// A file of any header text and data.
inline std::string safetensors_file(std::string_view header, std::string_view data) {
  const std::uint64_t size = header.size();
  std::string file(reinterpret_cast<const char*>(&size), sizeof size);
  return file.append(header).append(data);
}

struct SafetensorsTestTensor {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::string data;
};

// A correct file with the tensors in this order and `__metadata__` {"format":"pt"}.
inline std::string safetensors_file(const std::vector<SafetensorsTestTensor>& tensors) {
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::string data;
  for (const SafetensorsTestTensor& t : tensors) {
    std::string shape;
    for (const std::uint64_t dim : t.shape) shape += fmt::format("{}{}", shape.empty() ? "" : ",", dim);
    header += fmt::format(R"(,"{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", t.name, t.dtype,
                          shape, data.size(), data.size() + t.data.size());
    data += t.data;
  }
  return safetensors_file(header + "}", data);
}

}  // namespace folio::test
