/* What the error codes mean. */
#include "eventlog.h"

#define TEXT_OF(name, number, kind, text)                                      \
  if (code == name) return text;
#define KIND_OF(name, number, kind, text)                                      \
  if (code == name) return kind;

const char *evl_strerror(int code) {
  EVL_ERRORS(TEXT_OF)
  return code == EVL_OK ? "ok" : "unknown error";
}

const char *evl_error_kind(int code) {
  EVL_ERRORS(KIND_OF)
  return "misuse";
}
