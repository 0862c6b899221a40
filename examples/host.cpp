// A host in C++. Lua's errors jump over destructors, and exceptions must not pass through Lua: so
// what may raise an error runs protected, owning nothing, and what may throw is caught before Lua.
#include <aqlua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

const char SCRIPT[] = R"(
  local aq = require "aqlua"
  local q = aq.Queue(2)
  aq.create_task(function()
    for word in ("to be or not"):gmatch "%a+" do q:put(word) end
    q:shutdown()
  end)
  for word in q:items() do collect(word) end
  print(pcall(collect, ""))
  error "that is the question"
)";

// A C++ function for Lua. What it throws becomes a Lua error, raised when all objects are gone.
template <int (*function)(lua_State *)> int guarded(lua_State *L) {
  char text[200];
  try {
    return function(L);
  } catch (const std::exception &e) {
    std::snprintf(text, sizeof text, "%s", e.what());
  }
  return luaL_error(L, "%s", text);
}

int collect(lua_State *L) {
  auto *words = static_cast<std::vector<std::string> *>(lua_touserdata(L, lua_upvalueindex(1)));
  const char *word = luaL_checkstring(L, 1); // before there is anything to destroy
  if (*word == '\0') throw std::invalid_argument("an empty word");
  words->push_back(word);
  return 0;
}

class Host {
public:
  Host() : state(luaL_newstate(), lua_close) {
    if (!state) throw std::bad_alloc();
    lua_pushcfunction(state.get(), open_all);
    lua_pushlightuserdata(state.get(), &words);
    check(lua_pcall(state.get(), 1, 0, 0), -1);
  }

  void run(const char *script) {
    check(luaL_loadstring(state.get(), script), -1);
    check(aq_call(state.get(), 0, 0), -2); // above the error is its traceback
  }

  std::vector<std::string> words;

private:
  static int open_all(lua_State *L) {
    luaL_openlibs(L);
    luaL_requiref(L, "aqlua", luaopen_aqlua, 0);
    lua_settop(L, 1);
    lua_pushcclosure(L, guarded<collect>, 1);
    lua_setglobal(L, "collect");
    return 0;
  }

  void check(int status, int index) {
    if (status == LUA_OK) return;
    const char *text = lua_tostring(state.get(), index);
    std::string message = text ? text : "an error that is no string";
    lua_settop(state.get(), 0);
    throw std::runtime_error(message);
  }

  std::unique_ptr<lua_State, decltype(&lua_close)> state;
};

} // namespace

int main() {
  try {
    Host host;
    try {
      host.run(SCRIPT);
    } catch (const std::runtime_error &e) {
      std::cout << e.what() << '\n';
    }
    std::cout << host.words.size() << " words, the last is " << host.words.back() << '\n';
  } catch (const std::exception &e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
// --> false	an empty word
// --> [string "..."]:10: that is the question
// --> 4 words, the last is not
