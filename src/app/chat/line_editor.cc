#include "app/chat/line_editor.h"

#include <histedit.h>

#include <clocale>
#include <cstdio>
#include <cstring>
#include <cwchar>

#include "platform/terminal.h"

namespace folio::app {

struct LineEditor::State {
  platform::SignalScope& signals;
  EditLine* editor = nullptr;
  History* history = nullptr;
  std::string prompt;
  std::vector<std::string> completions;
  bool interrupted = false;
};

namespace {

// libedit converts between bytes and characters by the locale; where that is not UTF-8, characters would be
// lost.
void use_utf8() {
  if (std::setlocale(LC_CTYPE, "") != nullptr && MB_CUR_MAX > 1) return;
  for (const char* name : {"C.UTF-8", "C.utf8", "en_US.UTF-8"})
    if (std::setlocale(LC_CTYPE, name) != nullptr) return;
}

template <typename State>
State& state_of(EditLine* editor) {
  void* data = nullptr;
  el_get(editor, EL_CLIENTDATA, &data);
  return *static_cast<State*>(data);
}

// One character from standard input. Bytes that are no UTF-8 are left out.
template <typename State>
int read_character(EditLine* editor, wchar_t* character) {
  State& state = state_of<State>(editor);
  std::mbstate_t conversion{};
  for (;;) {
    char byte = 0;
    switch (state.signals.read_byte(byte)) {
      case platform::ReadByte::kEnd:
        return 0;
      case platform::ReadByte::kSignal:
        if (state.signals.take_interrupt()) {
          state.interrupted = true;
          return -1;
        }
        if (state.signals.take_resumed()) {
          el_set(editor, EL_PREP_TERM, 1);
          el_set(editor, EL_REFRESH);
        }
        if (state.signals.take_resized()) el_resize(editor);
        continue;
      case platform::ReadByte::kByte:
        break;
    }
    const std::size_t used = std::mbrtowc(character, &byte, 1, &conversion);
    if (used == static_cast<std::size_t>(-2)) continue;  // the character goes on
    if (used == static_cast<std::size_t>(-1)) {
      conversion = {};
      continue;
    }
    return 1;
  }
}

template <typename State>
unsigned char complete_word(EditLine* editor, int) {
  const State& state = state_of<State>(editor);
  const LineInfo* const line = el_line(editor);
  const std::string_view typed(line->buffer, static_cast<std::size_t>(line->cursor - line->buffer));
  std::string common;
  std::size_t matches = 0;
  for (const std::string& word : state.completions) {
    if (typed.empty() || !word.starts_with(typed)) continue;
    if (matches++ == 0) common = word;
    while (!word.starts_with(common)) common.pop_back();
  }
  if (matches == 0 || (matches > 1 && common.size() == typed.size())) return CC_REFRESH_BEEP;
  const std::string rest = common.substr(typed.size()) + (matches == 1 ? " " : "");
  return el_insertstr(editor, rest.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
}

}  // namespace

LineEditor::LineEditor(platform::SignalScope& signals, Options options)
    : state_(new State{.signals = signals, .prompt = {}, .completions = std::move(options.completions)}) {
  use_utf8();
  std::FILE* const screen = platform::is_terminal(platform::Stream::kOutput) ? stdout : stderr;
  state_->editor = el_init("folio", stdin, screen, stderr);
  state_->history = history_init();
  if (state_->editor == nullptr || state_->history == nullptr) return;
  EditLine* const editor = state_->editor;
  HistEvent event{};
  history(state_->history, &event, H_SETSIZE, 1000);
  history(state_->history, &event, H_SETUNIQUE, 1);
  el_set(editor, EL_CLIENTDATA, state_.get());
  el_set(editor, EL_PROMPT, +[](EditLine* e) { return state_of<State>(e).prompt.data(); });
  el_set(editor, EL_EDITOR, "emacs");
  el_set(editor, EL_SIGNAL, 0);
  el_set(editor, EL_HIST, history, state_->history);
  el_set(editor, EL_GETCFN, &read_character<State>);
  el_set(editor, EL_ADDFN, "folio-complete", "complete a command", &complete_word<State>);
  el_set(editor, EL_BIND, "^I", "folio-complete", nullptr);
  el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  // A Ctrl-D typed while an answer ran: what the terminal kept of it, since no line was being edited, is a
  // NUL.
  el_set(editor, EL_BIND, "^@", "em-delete-or-list", nullptr);
  for (const std::string& line : options.history) remember(line);
}

LineEditor::~LineEditor() {
  if (state_->editor != nullptr) el_end(state_->editor);
  if (state_->history != nullptr) history_end(state_->history);
}

InputLine LineEditor::read_line(std::string_view prompt) {
  if (state_->editor == nullptr || state_->history == nullptr) return {};
  state_->prompt = prompt;
  state_->interrupted = false;
  el_set(state_->editor, EL_PREP_TERM,
         1);  // before the prompt, so that nothing typed from then on is echoed twice
  int bytes = 0;
  const char* const line = el_gets(state_->editor, &bytes);
  if (state_->interrupted) {
    el_reset(state_->editor);
    return {.kind = InputLine::Kind::kInterrupt, .text = {}};
  }
  if (line == nullptr || bytes <= 0) return {};
  std::string text(line, std::strlen(line));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return {.kind = InputLine::Kind::kText, .text = std::move(text)};
}

void LineEditor::remember(const std::string& line) {
  HistEvent event{};
  if (state_->history != nullptr && !line.empty()) history(state_->history, &event, H_ENTER, line.c_str());
}

}  // namespace folio::app
