// Stands in for llama.cpp's libraries in test_peers.py: the same C interface, declared as llama.h and ggml.h
// of v0.5.0 declare it, over a model that computes nothing. It writes down what it is called with.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#ifndef DEFAULT_CONTEXT
#define DEFAULT_CONTEXT 512
#endif

namespace {

struct ModelParams {
  void *devices, *tensor_buft_overrides;
  std::int32_t n_gpu_layers;
  int split_mode, load_mode, lazy_mode;
  std::int32_t main_gpu;
  const float* tensor_split;
  void *progress_callback, *progress_callback_user_data, *kv_overrides;
  bool vocab_only, check_tensors, use_extra_bufts, no_host, no_alloc, load_mtp;
};

struct ContextParams {
  std::uint32_t n_ctx, n_batch, n_ubatch, n_seq_max, n_rs_seq, n_outputs_max, n_outputs_max_per_seq;
  std::int32_t n_threads, n_threads_batch;
  int ctx_type, rope_scaling_type, pooling_type, attention_type, flash_attn_type;
  float rope_freq_base, rope_freq_scale, yarn_ext_factor, yarn_attn_factor, yarn_beta_fast, yarn_beta_slow;
  std::uint32_t yarn_orig_ctx;
  float defrag_thold;
  void *cb_eval, *cb_eval_user_data;
  int type_k, type_v;
  void *abort_callback, *abort_callback_data;
  bool embeddings, offload_kqv, no_perf, op_offload, swa_full, kv_unified;
  void* samplers;
  std::size_t n_samplers;
  void* ctx_other;
};

struct ThreadpoolParams {
  bool cpumask[512];
  int n_threads, prio;
  std::uint32_t poll;
  bool strict_cpu, paused;
};

struct Batch {
  std::int32_t n_tokens;
  std::int32_t* token;
  float* embd;
  std::int32_t *pos, *n_seq_id, **seq_id;
  std::int8_t* logits;
};

constexpr int kVocabulary = 32, kErrorLevel = 4;
using Log = void (*)(int level, const char* text, void* user);
Log log_to = nullptr;
float row_logits[kVocabulary];
int something;  // what handles point to

template <typename... Values>
void note(const char* form, Values... values) {
  if (std::FILE* file = std::fopen(std::getenv("STAND_IN_LOG"), "a")) {
    std::fprintf(file, form, values...);
    std::fclose(file);
  }
}

void* new_threadpool(ThreadpoolParams* params) {
  note("threadpool of %d, poll %u\n", params->n_threads, params->poll);
  return &something;
}

}  // namespace

extern "C" {

void ggml_backend_load_all_from_path(const char* path) { note("kernels from %s\n", std::strrchr(path, '/')); }
void* ggml_backend_dev_by_type(int type) { return type == 0 ? &something : nullptr; }
void* ggml_backend_dev_backend_reg(void* device) { return device; }
void* ggml_backend_reg_get_proc_address(void*, const char* name) {
  return std::strcmp(name, "ggml_threadpool_new") == 0 ? reinterpret_cast<void*>(&new_threadpool) : nullptr;
}
ThreadpoolParams ggml_threadpool_params_default(int threads) {
  return {.cpumask = {}, .n_threads = threads, .prio = 0, .poll = 1, .strict_cpu = false, .paused = false};
}

void llama_backend_init() {}
void llama_log_set(Log log, void*) { log_to = log; }

ModelParams llama_model_default_params() {
  ModelParams params{};
  params.n_gpu_layers = -1;
  params.use_extra_bufts = true;
  return params;
}

void* llama_model_load_from_file(const char* path, ModelParams params) {
  if (params.n_gpu_layers != -1 || !params.use_extra_bufts || params.load_mtp) std::abort();
  if (std::strstr(path, "broken") != nullptr) {
    log_to(kErrorLevel, "magic is not GGUF\n", nullptr);
    return nullptr;
  }
  return &something;
}
void* llama_model_get_vocab(void* model) { return model; }
std::int32_t llama_vocab_n_tokens(void*) { return kVocabulary; }

ContextParams llama_context_default_params() {
  ContextParams params{};
  params.n_ctx = DEFAULT_CONTEXT;
  params.n_batch = 2048;
  params.n_ubatch = 512;
  params.n_seq_max = params.n_outputs_max_per_seq = 1;
  params.n_threads = params.n_threads_batch = 4;
  params.rope_scaling_type = params.pooling_type = params.attention_type = params.flash_attn_type = -1;
  params.yarn_ext_factor = params.yarn_attn_factor = params.yarn_beta_fast = params.yarn_beta_slow = -1;
  params.defrag_thold = -1;
  params.type_k = params.type_v = 1;
  params.offload_kqv = params.no_perf = params.op_offload = params.swa_full = true;
  return params;
}

void* llama_init_from_model(void*, ContextParams p) {
  if (p.samplers != nullptr || p.n_samplers != 0 || p.ctx_other != nullptr) std::abort();
  note("context %u batch %u/%u sequences %u outputs %u threads %d/%d types %d/%d full window %d\n", p.n_ctx,
       p.n_batch, p.n_ubatch, p.n_seq_max, p.n_outputs_max_per_seq, p.n_threads, p.n_threads_batch, p.type_k,
       p.type_v, p.swa_full);
  return &something;
}
void llama_free(void*) { note("free\n"); }
void llama_attach_threadpool(void*, void* pool, void* pool_of_batches) {
  note("attach %d %d\n", pool == &something, pool_of_batches != nullptr);
}
void* llama_get_memory(void* context) { return context; }
void llama_memory_clear(void*, bool data) { note("clear %d\n", data); }
bool llama_memory_seq_rm(void*, std::int32_t sequence, std::int32_t first, std::int32_t end) {
  note("cut %d %d %d\n", sequence, first, end);
  return true;
}

// A millisecond a token.
std::int32_t llama_decode(void*, Batch batch) {
  int outputs = 0;
  for (int i = 0; i < batch.n_tokens; ++i) {
    if (batch.n_seq_id[i] != 1 || batch.embd != nullptr || batch.token[i] < 0 || batch.token[i] >= 30)
      std::abort();
    outputs += batch.logits[i];
  }
  const int last = batch.n_tokens - 1;
  note("decode %d: %d/%d to %d/%d, %d outputs\n", batch.n_tokens, batch.seq_id[0][0], batch.pos[0],
       batch.seq_id[last][0], batch.pos[last], outputs);
  timespec time{.tv_sec = batch.n_tokens / 1000, .tv_nsec = batch.n_tokens % 1000 * 1'000'000L};
  ::nanosleep(&time, nullptr);
  return 0;
}
void llama_synchronize(void*) {}

// Token 0 is twice as probable as any other.
float* llama_get_logits_ith(void*, std::int32_t) {
  row_logits[0] = 0.693147180559945F;
  return row_logits;
}
}
