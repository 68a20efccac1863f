#include "weights/safetensors_header.h"

#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "weights/quote.h"
#include "weights/safetensors.h"
#include "weights/tensor_store.h"

namespace folio::weights {
namespace {

using Json = nlohmann::json;

// Iterates over text and tells how far it has come; the parser copies iterators, so the count is outside.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  const char* at;
  std::uint64_t* passed;

  char operator*() const { return *at; }
  CountingIterator& operator++() {
    ++at;
    ++*passed;
    return *this;
  }
  CountingIterator operator++(int) {
    const CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at == other.at; }
};

// Accepts exactly {NAME: {"dtype": S, "shape": [N...], "data_offsets": [N, N]}..., "__metadata__": {S:
// S...}}. Each event answers whether to go on; the first error ends the parse.
class HeaderEvents {
 public:
  HeaderEvents(std::string_view source, std::uint64_t at, const std::uint64_t& passed)
      : source_(source), at_(at), passed_(passed) {}

  bool null() { return refuse("has a null"); }
  bool boolean(bool) { return refuse("has a boolean"); }
  bool number_integer(Json::number_integer_t) { return refuse("has a negative number"); }
  bool number_float(Json::number_float_t, const std::string&) {
    return refuse("has a number that is no 64-bit integer");
  }
  bool binary(Json::binary_t&) { return refuse("has binary data"); }
  bool number_unsigned(Json::number_unsigned_t value);
  bool string(std::string& value);
  bool start_object(std::size_t);
  bool key(std::string& name);
  bool end_object();
  bool start_array(std::size_t);
  bool end_array();
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) {
    error_ = fmt::format("{}: header: not valid JSON (byte {})", source_, at_ + position);
    return false;
  }

  const std::string& error() const { return error_; }
  SafetensorsLines take() { return std::move(lines_); }

 private:
  enum class Place { kOutside, kRoot, kTensor, kShape, kOffsets, kMetadata };
  enum Field : unsigned { kNoField = 0, kDtype = 1, kShapeField = 2, kOffsetsField = 4, kAllFields = 7 };

  bool root_key(std::string& name);
  bool tensor_key(const std::string& name);

  bool refuse(std::string_view what) {
    const std::string where = key_.empty() ? "header" : fmt::format("header: {}", quote(key_));
    error_ = fmt::format("{}: {} {} (byte {})", source_, where, what, at_ + passed_);
    return false;
  }

  std::string_view source_;
  std::uint64_t at_;
  const std::uint64_t& passed_;
  std::string error_;
  SafetensorsLines lines_;
  std::unordered_set<std::string> names_;

  Place place_ = Place::kOutside;
  std::string key_;           // last key of the root
  std::string metadata_key_;  // last key of __metadata__
  Field field_ = kNoField;    // of the tensor, whose value comes next
  unsigned seen_ = 0;         // fields of the tensor so far
  std::size_t offsets_ = 0;   // numbers of data_offsets so far
};

bool HeaderEvents::number_unsigned(Json::number_unsigned_t value) {
  if (place_ == Place::kShape) {
    auto& shape = lines_.tensors.back().shape;
    if (shape.size() == kMaxSafetensorsDims) return refuse("has too many dimensions");
    shape.push_back(value);
    return true;
  }
  if (place_ == Place::kOffsets && offsets_ < 2) {
    (offsets_++ == 0 ? lines_.tensors.back().begin : lines_.tensors.back().end) = value;
    return true;
  }
  return refuse("has a number in the wrong place");
}

bool HeaderEvents::string(std::string& value) {
  if (place_ == Place::kMetadata) {
    lines_.metadata.emplace_back(std::move(metadata_key_), std::move(value));
    return true;
  }
  if (place_ != Place::kTensor || field_ != kDtype) return refuse("has a string in the wrong place");
  lines_.tensors.back().dtype = std::move(value);
  field_ = kNoField;
  return true;
}

bool HeaderEvents::start_object(std::size_t) {
  if (place_ == Place::kOutside) {
    place_ = Place::kRoot;
    return true;
  }
  if (place_ != Place::kRoot) return refuse("has an object in the wrong place");
  if (key_ == "__metadata__") {
    place_ = Place::kMetadata;
    return true;
  }
  if (lines_.tensors.size() == kMaxTensors) return refuse("is beyond the limit of tensors");
  place_ = Place::kTensor;
  seen_ = 0;
  lines_.tensors.push_back({key_, {}, {}, 0, 0, at_ + passed_});
  return true;
}

bool HeaderEvents::root_key(std::string& name) {
  key_ = std::move(name);
  return names_.insert(key_).second || refuse("is there twice");
}

bool HeaderEvents::tensor_key(const std::string& name) {
  field_ = name == "dtype"          ? kDtype
           : name == "shape"        ? kShapeField
           : name == "data_offsets" ? kOffsetsField
                                    : kNoField;
  if (field_ == kNoField) return refuse(fmt::format("has an unknown field {}", quote(name)));
  if ((seen_ & field_) != 0) return refuse(fmt::format("has the field {} twice", quote(name)));
  seen_ |= field_;
  return true;
}

bool HeaderEvents::key(std::string& name) {
  if (place_ == Place::kRoot) return root_key(name);
  if (place_ == Place::kTensor) return tensor_key(name);
  metadata_key_ = std::move(name);
  return true;
}

bool HeaderEvents::end_object() {
  if (place_ == Place::kTensor && seen_ != kAllFields)
    return refuse("lacks one of dtype, shape, data_offsets");
  place_ = place_ == Place::kRoot ? Place::kOutside : Place::kRoot;
  return true;
}

bool HeaderEvents::start_array(std::size_t) {
  if (place_ != Place::kTensor || (field_ != kShapeField && field_ != kOffsetsField)) {
    return refuse("has a list in the wrong place");
  }
  place_ = field_ == kShapeField ? Place::kShape : Place::kOffsets;
  offsets_ = 0;
  return true;
}

bool HeaderEvents::end_array() {
  if (place_ == Place::kOffsets && offsets_ != 2) return refuse("has data_offsets that are not two numbers");
  place_ = Place::kTensor;
  field_ = kNoField;
  return true;
}

}  // namespace

Result<SafetensorsLines> read_safetensors_header(std::string_view json, std::uint64_t at,
                                                 std::string_view source) {
  std::uint64_t passed = 0;
  HeaderEvents events(source, at, passed);
  const CountingIterator begin{json.data(), &passed};
  const CountingIterator end{json.data() + json.size(), &passed};
  if (!Json::sax_parse(begin, end, &events)) return fail(ErrorKind::kInvalid, "{}", events.error());
  return events.take();
}

}  // namespace folio::weights
