/* What the error codes mean. */
#include "eventlog.h"

#define EVL_TEXT(name, number, kind, text)                                     \
  case name: return text; #define EVL_KIND(name, number, kind, text)           \
  case name: return kind;

const char *evl_strerror(int code) {
  switch (code) {
    EVL_ERRORS(EVL_TEXT)
  default: return code == EVL_OK ? "ok" : "unknown error";
  }
}

const char *evl_error_kind(int code) {
  switch (code) {
    EVL_ERRORS(EVL_KIND)
  default: return "misuse";
  }
}
