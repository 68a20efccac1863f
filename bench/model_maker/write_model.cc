#include "write_model.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <system_error>
#include <vector>

#include "platform/thread_pool.h"
#include "random_weights.h"

namespace folio::model_maker {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBufferBytes = 64 << 20;

// A file under another name until keep() gives it its own; gone if that is never reached.
class PendingFile {
 public:
  static Result<PendingFile> create(const std::string& path) {
    PendingFile file(path);
    if (file.stream_ == nullptr) return file.error("cannot be written");
    return file;
  }
  PendingFile(PendingFile&&) = default;
  ~PendingFile() {
    std::error_code ignored;
    if (stream_ == nullptr) return;
    stream_.reset();
    fs::remove(part_, ignored);
  }

  Status write(std::span<const std::byte> bytes) {
    if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), stream_.get()) != bytes.size())
      return error("could not be written to its end");
    return {};
  }

  Status keep() {
    if (std::fclose(stream_.release()) != 0) return drop("could not be written to its end");
    std::error_code problem;
    fs::rename(part_, path_, problem);
    errno = problem.value();
    return problem ? drop("could not be renamed to its name") : Status();
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  explicit PendingFile(const std::string& path)
      : path_(path), part_(path + ".part-" + std::to_string(::getpid())) {
    stream_.reset(std::fopen(part_.c_str(), "wb"));
    if (stream_) std::setvbuf(stream_.get(), nullptr, _IONBF, 0);  // pieces are large already
  }

  std::unexpected<Error> error(std::string_view what) const {
    return fail(ErrorKind::kIo, "{}: {} ({})", path_, what, std::strerror(errno));
  }
  std::unexpected<Error> drop(std::string_view what) const {
    const auto sentence = error(what);
    std::error_code ignored;
    fs::remove(part_, ignored);
    return sentence;
  }

  std::string path_, part_;
  std::unique_ptr<std::FILE, Close> stream_;
};

// Tells how far it is while it writes.
class Writer {
 public:
  Writer(PendingFile& file, const WriteOptions& options, std::size_t total)
      : file_(file), options_(options), total_(total), pool_(options.threads), buffer_(kBufferBytes) {}

  Status write(std::span<const std::byte> bytes) {
    FOLIO_TRY_STATUS(file_.write(bytes));
    done_ += bytes.size();
    if (options_.progress) options_.progress(done_, total_);
    return {};
  }

  // Rows are made by all threads, a buffer at a time, and written by this one.
  Status write(const TensorSpec& tensor) {
    const std::size_t row_bytes = kernels::row_bytes(tensor.type, tensor.dims[0]);
    if (buffer_.size() < row_bytes) buffer_.resize(row_bytes);
    const std::uint64_t at_once = buffer_.size() / row_bytes;
    for (std::uint64_t first = 0; first < tensor.rows(); first += at_once) {
      const std::uint64_t rows = std::min(at_once, tensor.rows() - first);
      pool_.run(rows,
                [&](std::size_t row, int) { fill(tensor, first + row, buffer_.data() + row * row_bytes); });
      FOLIO_TRY_STATUS(write(std::span(buffer_).first(rows * row_bytes)));
    }
    const std::vector<std::byte> padding(gguf_padded(tensor.bytes()) - tensor.bytes());
    return write(padding);
  }

 private:
  void fill(const TensorSpec& tensor, std::uint64_t row, std::byte* out) const {
    if (tensor.deviation)
      return fill_row({.seed = options_.seed,
                       .name = tensor.name,
                       .type = tensor.type,
                       .columns = tensor.dims[0],
                       .deviation = *tensor.deviation},
                      row, out);
    for (std::size_t i = 0; i < tensor.dims[0]; ++i) {
      const float one = 1;
      std::memcpy(out + i * sizeof one, &one, sizeof one);
    }
  }

  PendingFile& file_;
  const WriteOptions& options_;
  std::size_t done_ = 0, total_;
  platform::ThreadPool pool_;
  std::vector<std::byte> buffer_;
};

Status check_room(const std::string& path, std::uint64_t bytes) {
  std::error_code unknown;
  const fs::path folder = fs::path(path).parent_path();
  const fs::space_info space = fs::space(folder.empty() ? "." : folder, unknown);
  if (unknown || bytes <= space.available) return {};  // writing will say what is wrong
  return fail(ErrorKind::kTooLarge, "{}: the model takes {} MB, and {} MB are free there", path, bytes >> 20,
              space.available >> 20);
}

}  // namespace

Status write_model(const Recipe& recipe, const WriteOptions& options) {
  const std::string head = recipe.header.bytes();
  const std::uint64_t total = head.size() + recipe.header.data_bytes();
  FOLIO_TRY_STATUS(check_room(options.path, total));
  FOLIO_TRY(file, PendingFile::create(options.path));
  Writer writer(file, options, total);
  FOLIO_TRY_STATUS(writer.write(std::as_bytes(std::span(head))));
  for (const TensorSpec& tensor : recipe.tensors) FOLIO_TRY_STATUS(writer.write(tensor));
  return file.keep();
}

}  // namespace folio::model_maker
