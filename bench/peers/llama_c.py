"""llama.cpp's C interface, as far as a benchmark needs it, by ctypes. Standard library only.

The structures are those of include/llama.h and ggml.h of v0.5.0, which the package that compare.py pins was built
from. They are passed by value, so a library with others would misread them: Library compares the defaults that the
library fills in with what v0.5.0 documents, and refuses where they differ.
"""

import ctypes
import pathlib
import re
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int, c_int8, c_int32, c_size_t, c_uint32, c_void_p

POLL = 50  # of 100: how eagerly idle threads look for work; llama-bench's default
CPU_DEVICE = 0  # GGML_BACKEND_DEVICE_TYPE_CPU
ERROR_LEVEL = 4  # GGML_LOG_LEVEL_ERROR
LOG_CALLBACK = ctypes.CFUNCTYPE(None, c_int, c_char_p, c_void_p)


class ModelParams(ctypes.Structure):
    _fields_ = [("devices", c_void_p), ("tensor_buft_overrides", c_void_p), ("n_gpu_layers", c_int32),
                ("split_mode", c_int), ("load_mode", c_int), ("lazy_mode", c_int), ("main_gpu", c_int32),
                ("tensor_split", c_void_p), ("progress_callback", c_void_p), ("progress_callback_user_data", c_void_p),
                ("kv_overrides", c_void_p), ("vocab_only", c_bool), ("check_tensors", c_bool),
                ("use_extra_bufts", c_bool), ("no_host", c_bool), ("no_alloc", c_bool), ("load_mtp", c_bool)]


class ContextParams(ctypes.Structure):
    _fields_ = [("n_ctx", c_uint32), ("n_batch", c_uint32), ("n_ubatch", c_uint32), ("n_seq_max", c_uint32),
                ("n_rs_seq", c_uint32), ("n_outputs_max", c_uint32), ("n_outputs_max_per_seq", c_uint32),
                ("n_threads", c_int32), ("n_threads_batch", c_int32), ("ctx_type", c_int), ("rope_scaling_type", c_int),
                ("pooling_type", c_int), ("attention_type", c_int), ("flash_attn_type", c_int),
                ("rope_freq_base", c_float), ("rope_freq_scale", c_float), ("yarn_ext_factor", c_float),
                ("yarn_attn_factor", c_float), ("yarn_beta_fast", c_float), ("yarn_beta_slow", c_float),
                ("yarn_orig_ctx", c_uint32), ("defrag_thold", c_float), ("cb_eval", c_void_p),
                ("cb_eval_user_data", c_void_p), ("type_k", c_int), ("type_v", c_int), ("abort_callback", c_void_p),
                ("abort_callback_data", c_void_p), ("embeddings", c_bool), ("offload_kqv", c_bool), ("no_perf", c_bool),
                ("op_offload", c_bool), ("swa_full", c_bool), ("kv_unified", c_bool), ("samplers", c_void_p),
                ("n_samplers", c_size_t), ("ctx_other", c_void_p)]


class ThreadpoolParams(ctypes.Structure):
    _fields_ = [("cpumask", c_bool * 512), ("n_threads", c_int), ("prio", c_int), ("poll", c_uint32),
                ("strict_cpu", c_bool), ("paused", c_bool)]


class BatchView(ctypes.Structure):
    _fields_ = [("n_tokens", c_int32), ("token", POINTER(c_int32)), ("embd", POINTER(c_float)), ("pos", POINTER(c_int32)),
                ("n_seq_id", POINTER(c_int32)), ("seq_id", POINTER(POINTER(c_int32))), ("logits", POINTER(c_int8))]


TYPES = {"F32": 0, "F16": 1, "BF16": 30}  # ggml_type
MODEL_DEFAULTS = {"n_gpu_layers": -1, "main_gpu": 0, "vocab_only": False, "use_extra_bufts": True, "no_alloc": False}
CONTEXT_DEFAULTS = {"n_ctx": 512, "n_batch": 2048, "n_ubatch": 512, "n_seq_max": 1, "rope_scaling_type": -1,
                    "flash_attn_type": -1, "yarn_ext_factor": -1.0, "defrag_thold": -1.0, "type_k": 1, "type_v": 1,
                    "embeddings": False, "offload_kqv": True, "no_perf": True, "n_samplers": 0}
# name: (result, arguments)
FUNCTIONS = {
    "ggml_backend_load_all_from_path": (None, [c_char_p]),
    "ggml_backend_dev_by_type": (c_void_p, [c_int]),
    "ggml_backend_dev_backend_reg": (c_void_p, [c_void_p]),
    "ggml_backend_reg_get_proc_address": (c_void_p, [c_void_p, c_char_p]),
    "ggml_threadpool_params_default": (ThreadpoolParams, [c_int]),
    "llama_backend_init": (None, []),
    "llama_log_set": (None, [LOG_CALLBACK, c_void_p]),
    "llama_model_default_params": (ModelParams, []),
    "llama_model_load_from_file": (c_void_p, [c_char_p, ModelParams]),
    "llama_model_get_vocab": (c_void_p, [c_void_p]),
    "llama_vocab_n_tokens": (c_int32, [c_void_p]),
    "llama_context_default_params": (ContextParams, []),
    "llama_init_from_model": (c_void_p, [c_void_p, ContextParams]),
    "llama_free": (None, [c_void_p]),
    "llama_attach_threadpool": (None, [c_void_p, c_void_p, c_void_p]),
    "llama_get_memory": (c_void_p, [c_void_p]),
    "llama_memory_clear": (None, [c_void_p, c_bool]),
    "llama_memory_seq_rm": (c_bool, [c_void_p, c_int32, c_int32, c_int32]),
    "llama_decode": (c_int32, [c_void_p, BatchView]),
    "llama_synchronize": (None, [c_void_p]),
    "llama_get_logits_ith": (POINTER(c_float), [c_void_p, c_int32]),
}


class LlamaError(Exception):
    """One sentence."""


class Library:
    """The shared objects of one folder; their functions are attributes. Chooses the kernels for this processor."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.last_error = ""
        handles = [self.open(pattern) for pattern in ("libggml-base.so*", "libggml.*so*", "libllama.*so*")]
        for name, (result, arguments) in FUNCTIONS.items():
            function = next((getattr(handle, name) for handle in handles if hasattr(handle, name)), None)
            if function is None:
                raise LlamaError(f"{folder}: the library has no {name}; this script is for llama.cpp v0.5.0")
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        self.check("llama_model_default_params", MODEL_DEFAULTS)
        self.check("llama_context_default_params", CONTEXT_DEFAULTS)
        self.log = LOG_CALLBACK(self.hear)  # kept: the library calls it later
        self.llama_log_set(self.log, None)
        self.ggml_backend_load_all_from_path(str(self.folder).encode())
        self.device = self.ggml_backend_dev_by_type(CPU_DEVICE)
        if not self.device:
            raise LlamaError(f"{folder}: no kernels for this processor were found there")
        self.llama_backend_init()

    def open(self, pattern):
        found = sorted(self.folder.glob(pattern))
        if not found:
            raise LlamaError(f"{self.folder}: there is no {pattern}")
        try:
            return ctypes.CDLL(str(found[0]), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise LlamaError(f"{found[0]} cannot be loaded: {error}") from None

    def check(self, function, expected):
        params = getattr(self, function)()
        for name, value in expected.items():
            if getattr(params, name) != value:
                raise LlamaError(f"{function}() gives {name} = {getattr(params, name)} instead of {value}: this library is "
                                 "not llama.cpp v0.5.0, whose structures this script has")

    def hear(self, level, text, _):
        if level == ERROR_LEVEL and text and text.strip():
            self.last_error = text.decode(errors="replace").strip()

    def kernels(self):
        """"zen4": which of the folder's builds for one instruction set each the library chose."""
        return " ".join(sorted(set(re.findall(r"/libggml-cpu-(\w+)\.so", pathlib.Path("/proc/self/maps").read_text()))))

    def threadpool(self, threads):
        """Threads that stay, as llama-bench has them; without, every graph starts its own."""
        address = self.ggml_backend_reg_get_proc_address(self.ggml_backend_dev_backend_reg(self.device),
                                                         b"ggml_threadpool_new")
        if not address:
            raise LlamaError("the library offers no thread pool")
        params = self.ggml_threadpool_params_default(threads)
        params.poll = POLL
        return ctypes.CFUNCTYPE(c_void_p, POINTER(ThreadpoolParams))(address)(params)


class Batch:
    """Room for so many tokens of a step: add(), then decode()."""

    def __init__(self, capacity):
        self.sequences = (c_int32 * capacity)()
        self.token, self.pos, self.counts = (c_int32 * capacity)(), (c_int32 * capacity)(), (c_int32 * capacity)()
        self.output = (c_int8 * capacity)()
        pointers = POINTER(c_int32) * capacity
        start, width = ctypes.addressof(self.sequences), ctypes.sizeof(c_int32)
        self.sequence_pointers = pointers(*(ctypes.cast(start + i * width, POINTER(c_int32)) for i in range(capacity)))
        self.view = BatchView(0, self.token, None, self.pos, self.counts, self.sequence_pointers, self.output)

    def clear(self):
        self.view.n_tokens = 0

    def add(self, token, position, sequence, output):
        i = self.view.n_tokens
        self.token[i], self.pos[i], self.counts[i], self.sequences[i], self.output[i] = token, position, 1, sequence, output
        self.view.n_tokens = i + 1

    def full(self):
        return self.view.n_tokens == len(self.token)


class Context:
    """A context of `sequences` times `length` tokens on threads of its own; everything else as llama-bench has it."""

    def __init__(self, library, model, pool, threads, length, sequences=1, kv="F16", all_outputs=False):
        self.library, self.sequences = library, sequences
        params = library.llama_context_default_params()
        params.n_ctx = sequences * ((length + 255) // 256 * 256)  # shared out evenly
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = threads
        params.type_k = params.type_v = TYPES[kv]
        params.swa_full = False
        if all_outputs:
            params.n_outputs_max_per_seq = 0
        self.batch = Batch(params.n_batch)
        self.handle = library.llama_init_from_model(model, params)
        if not self.handle:
            raise LlamaError(f"no context of {params.n_ctx} tokens could be made ({library.last_error or 'no reason given'})")
        library.llama_attach_threadpool(self.handle, pool, None)
        self.memory = library.llama_get_memory(self.handle)

    def clear(self):
        self.library.llama_memory_clear(self.memory, False)

    def cut(self, sequence, length):
        if not self.library.llama_memory_seq_rm(self.memory, sequence, length, -1):
            raise LlamaError("the library could not take tokens out of its cache")

    def decode(self):
        """Computes what the batch holds, and empties it."""
        status = self.library.llama_decode(self.handle, self.batch.view)
        if status != 0:
            raise LlamaError(f"llama_decode failed with {status} ({self.library.last_error or 'no reason given'})")
        self.library.llama_synchronize(self.handle)
        self.batch.clear()

    def logits(self, row, vocabulary):
        return self.library.llama_get_logits_ith(self.handle, row)[:vocabulary]

    def close(self):
        self.library.llama_free(self.handle)
