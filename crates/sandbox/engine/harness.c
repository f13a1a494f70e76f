// The part of the engine module that is ours: it puts QuickJS between one program and the host.
//
// The host calls, in this order and once each in the life of an instance: `prepare`, `analyse`, `run`. Texts go in through
// memory got from `buffer`; everything comes out through the imports below, which are all that the module asks of the host.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "quickjs.h"

#define IMPORT(name) __attribute__((import_module("host"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

// Hands a text out on a channel.
IMPORT(emit) void host_emit(int channel, const char *text, size_t length);
// Calls a function of the host with its arguments as a JSON array. The reply waits to be taken; a negative length means
// that it is the message of an error.
IMPORT(call) int32_t host_call(int function, const char *arguments, size_t length);
IMPORT(take) void host_take(char *reply);
// Microseconds since 1970.
IMPORT(clock) double host_clock(void);
IMPORT(seed) int64_t host_seed(void);

// Numbers shared with the host (engine.rs).
enum { OUT = 1, ERR = 2, VALUE = 3, NAME = 4, MESSAGE = 5, STACK = 6, MODULE = 7, BODY = 8 };
enum { GRANT_MEMORY = 1 };
enum { DONE = 0, FAILED = 1, MALFORMED = 2 };
enum { MODE_VALUE = 0, MODE_CALL = 1, MODE_DESCRIBE = 2 };

#define REJECTIONS_MAX 16

static JSRuntime *runtime;
static JSContext *context;
static JSValue memory_object;
static JSValue program;
static bool is_module;
static bool seeding;
static struct { JSValue promise, reason; } rejections[REJECTIONS_MAX];
static int rejected;

// What the C library would ask of an operating system. Kept out of the link: descriptors, environment, files.

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    int64_t micros = seeding ? host_seed() : (int64_t)host_clock();
    time->tv_sec = micros / 1000000;
    time->tv_usec = micros % 1000000;
    return 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int64_t micros = (int64_t)host_clock();
    time->tv_sec = micros / 1000000;
    time->tv_nsec = micros % 1000000 * 1000;
    return 0;
}

// There is no time zone but UTC.
struct tm *localtime_r(const time_t *restrict time, struct tm *restrict into) {
    memset(into, 0, sizeof *into);
    return into;
}

_Noreturn void abort(void) { __builtin_trap(); }
_Noreturn void __assert_fail(const char *test, const char *file, int line, const char *function) { __builtin_trap(); }

int fprintf(FILE *restrict file, const char *restrict format, ...) { return 0; }
int fputc(int c, FILE *file) { return c; }
int putchar(int c) { return c; }
int fputs(const char *restrict text, FILE *restrict file) { return 0; }
int fflush(FILE *file) { return 0; }
size_t __stdio_write(FILE *file, const unsigned char *bytes, size_t length) { return length; }
size_t __stdout_write(FILE *file, const unsigned char *bytes, size_t length) { return length; }
off_t __stdio_seek(FILE *file, off_t offset, int whence) { return -1; }
int __stdio_close(FILE *file) { return 0; }
int __isatty(int descriptor) { return 0; }

static void emit_value(int channel, JSValueConst value) {
    if (JS_IsSymbol(value)) {
        host_emit(channel, "Symbol()", 8);
        return;
    }
    size_t length;
    const char *text = JS_ToCStringLen(context, &length, value);
    if (text) {
        host_emit(channel, text, length);
        JS_FreeCString(context, text);
    } else {
        JS_FreeValue(context, JS_GetException(context));
    }
}

static void emit_property(int channel, JSValueConst object, const char *name) {
    JSValue value = JS_GetPropertyStr(context, object, name);
    if (JS_IsException(value))
        JS_FreeValue(context, JS_GetException(context));
    else if (!JS_IsUndefined(value))
        emit_value(channel, value);
    JS_FreeValue(context, value);
}

// Tells the host what was thrown. A thing that is no error has a message alone.
static int emit_thrown(JSValue thrown) {
    if (JS_IsError(thrown)) {
        emit_property(NAME, thrown, "name");
        emit_property(MESSAGE, thrown, "message");
        emit_property(STACK, thrown, "stack");
    } else {
        JSValue json = JS_IsObject(thrown) ? JS_JSONStringify(context, thrown, JS_UNDEFINED, JS_UNDEFINED) : JS_UNDEFINED;
        if (JS_IsException(json))
            JS_FreeValue(context, JS_GetException(context));
        emit_value(MESSAGE, JS_IsString(json) ? json : thrown);
        JS_FreeValue(context, json);
    }
    JS_FreeValue(context, thrown);
    return FAILED;
}

static int emit_exception(void) { return emit_thrown(JS_GetException(context)); }

// A text as it is; everything else as JSON where there is any, an error with where it came from.
static void log_argument(int channel, JSValueConst value) {
    if (JS_IsError(value)) {
        JSValue stack = JS_GetPropertyStr(context, value, "stack");
        if (JS_IsException(stack))
            JS_FreeValue(context, JS_GetException(context));
        emit_value(channel, value);
        if (JS_IsString(stack)) {
            host_emit(channel, "\n", 1);
            emit_value(channel, stack);
        }
        JS_FreeValue(context, stack);
        return;
    }
    if (JS_IsObject(value) && !JS_IsFunction(context, value)) {
        JSValue json = JS_JSONStringify(context, value, JS_UNDEFINED, JS_UNDEFINED);
        if (JS_IsException(json))
            JS_FreeValue(context, JS_GetException(context));
        bool told = JS_IsString(json);
        if (told)
            emit_value(channel, json);
        JS_FreeValue(context, json);
        if (told)
            return;
    }
    emit_value(channel, value);
}

static JSValue console_log(JSContext *ctx, JSValueConst this, int count, JSValueConst *values, int channel) {
    for (int i = 0; i < count; i++) {
        if (i)
            host_emit(channel, " ", 1);
        log_argument(channel, values[i]);
    }
    host_emit(channel, "\n", 1);
    return JS_UNDEFINED;
}

static JSValue memory_call(JSContext *ctx, JSValueConst this, int count, JSValueConst *values, int function) {
    JSValue arguments = JS_NewArray(ctx);
    if (JS_IsException(arguments))
        return arguments;
    // Defined, not set: what a program has made of the prototype of all arrays does not matter.
    for (int i = 0; i < count; i++)
        if (JS_DefinePropertyValueUint32(ctx, arguments, i, JS_DupValue(ctx, values[i]), JS_PROP_C_W_E) < 0) {
            JS_FreeValue(ctx, arguments);
            return JS_EXCEPTION;
        }
    JSValue json = JS_JSONStringify(ctx, arguments, JS_UNDEFINED, JS_UNDEFINED);
    JS_FreeValue(ctx, arguments);
    if (JS_IsException(json))
        return json;
    size_t length;
    const char *text = JS_ToCStringLen(ctx, &length, json);
    JS_FreeValue(ctx, json);
    if (!text)
        return JS_EXCEPTION;
    int32_t told = host_call(function, text, length);
    JS_FreeCString(ctx, text);
    size_t size = told < 0 ? -(told + 1) : told;
    char *reply = js_malloc(ctx, size + 1);
    if (!reply)
        return JS_EXCEPTION;
    host_take(reply);
    reply[size] = 0;
    JSValue result = told < 0 ? JS_ThrowPlainError(ctx, "%.*s", (int)size, reply) : JS_ParseJSON(ctx, reply, size, "memory");
    js_free(ctx, reply);
    return result;
}

static const char *const MEMORY_FUNCTIONS[] = {"query", "episode", "patterns"};
#define MEMORY_FUNCTION_COUNT (int)(sizeof MEMORY_FUNCTIONS / sizeof *MEMORY_FUNCTIONS)

static int fill_memory_module(JSContext *ctx, JSModuleDef *module) {
    for (int i = 0; i < MEMORY_FUNCTION_COUNT; i++)
        JS_SetModuleExport(ctx, module, MEMORY_FUNCTIONS[i], JS_GetPropertyStr(ctx, memory_object, MEMORY_FUNCTIONS[i]));
    return JS_SetModuleExport(ctx, module, "default", JS_DupValue(ctx, memory_object));
}

static JSModuleDef *load_module(JSContext *ctx, const char *name, void *opaque) {
    host_emit(MODULE, name, strlen(name));
    if (strcmp(name, "memory") || JS_IsUndefined(memory_object)) {
        JS_ThrowReferenceError(ctx, "there is no module '%s'%s", name,
                               JS_IsUndefined(memory_object) ? "" : "; the only one is 'memory'");
        return NULL;
    }
    JSModuleDef *module = JS_NewCModule(ctx, name, fill_memory_module);
    for (int i = 0; module && i < MEMORY_FUNCTION_COUNT; i++)
        JS_AddModuleExport(ctx, module, MEMORY_FUNCTIONS[i]);
    if (module)
        JS_AddModuleExport(ctx, module, "default");
    return module;
}

// Names are taken as they are written: there are no paths.
static char *module_name(JSContext *ctx, const char *base, const char *name, void *opaque) {
    return js_strdup(ctx, name);
}

// Off the list before anything is freed or told: either can run code of the program, which may handle others.
static JSValue take_rejection(int i) {
    JSValue promise = rejections[i].promise, reason = rejections[i].reason;
    rejections[i] = rejections[--rejected];
    JS_FreeValue(context, promise);
    return reason;
}

// Keeps the rejections that nobody has handled, to be told at the end.
static void note_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, bool handled, void *opaque) {
    if (handled) {
        for (int i = 0; i < rejected; i++)
            if (JS_IsStrictEqual(ctx, rejections[i].promise, promise)) {
                JS_FreeValue(ctx, take_rejection(i));
                return;
            }
    } else if (rejected < REJECTIONS_MAX) {
        rejections[rejected].promise = JS_DupValue(ctx, promise);
        rejections[rejected++].reason = JS_DupValue(ctx, reason);
    }
}

// Memory for a text of the host, with room for the zero that ends it; 0 if there is none.
EXPORT(buffer) char *buffer(size_t length) {
    char *text = malloc(length + 1);
    if (text)
        text[length] = 0;
    return text;
}

static void add_function(JSValueConst object, const char *name, JSCFunctionMagic *function, int magic) {
    JS_SetPropertyStr(context, object, name, JS_NewCFunctionMagic(context, function, name, 1, JS_CFUNC_generic_magic, magic));
}

static void add_console(JSValueConst global) {
    static const struct { const char *name; int channel; } METHODS[] = {
        {"log", OUT}, {"info", OUT}, {"debug", OUT}, {"warn", ERR}, {"error", ERR}};
    JSValue console = JS_NewObject(context);
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        add_function(console, METHODS[i].name, console_log, METHODS[i].channel);
    JS_SetPropertyStr(context, global, "console", console);
}

// Makes the engine; `input` is JSON. DONE, or FAILED with what was wrong.
EXPORT(prepare) int prepare(int grants, size_t stack_bytes, const char *input, size_t input_length) {
    runtime = JS_NewRuntime();
    if (!runtime)
        return FAILED;
    JS_SetMaxStackSize(runtime, stack_bytes);
    JS_SetModuleLoaderFunc(runtime, module_name, load_module, NULL);
    JS_SetHostPromiseRejectionTracker(runtime, note_rejection, NULL);
    seeding = true;
    context = JS_NewContext(runtime);
    seeding = false;
    if (!context)
        return FAILED;
    JSValue global = JS_GetGlobalObject(context);
    add_console(global);
    memory_object = JS_UNDEFINED;
    if (grants & GRANT_MEMORY) {
        memory_object = JS_NewObject(context);
        for (int i = 0; i < MEMORY_FUNCTION_COUNT; i++)
            add_function(memory_object, MEMORY_FUNCTIONS[i], memory_call, i);
        JS_FreezeObject(context, memory_object);
        JS_SetPropertyStr(context, global, "memory", JS_DupValue(context, memory_object));
    }
    JSValue given = JS_ParseJSON(context, input, input_length, "input");
    if (JS_IsException(given))
        return emit_exception();
    JS_SetPropertyStr(context, global, "input", given);
    JS_FreeValue(context, global);
    return DONE;
}

static JSValue compile(const char *source, size_t length, int flags) {
    return JS_Eval(context, source, length, "code", flags | JS_EVAL_FLAG_COMPILE_ONLY);
}

// Code with a `return` outside of a function is taken for the body of one. The head is a line of its own, which
// the host is told of (BODY).
static JSValue compile_body(const char *source, size_t length) {
    static const char HEAD[] = "(async()=>{\n", TAIL[] = "\n})()";
    size_t size = sizeof HEAD - 1 + length + sizeof TAIL - 1;
    char *body = malloc(size + 1);
    if (!body)
        return JS_ThrowOutOfMemory(context);
    memcpy(body, HEAD, sizeof HEAD - 1);
    memcpy(body + sizeof HEAD - 1, source, length);
    memcpy(body + sizeof HEAD - 1 + length, TAIL, sizeof TAIL);
    JSValue compiled = compile(body, size, JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_ASYNC);
    free(body);
    return compiled;
}

// Whether a word stands somewhere as `import` and `export` do in a module. Asked of what is no script only.
static bool declares(const char *source, const char *word) {
    size_t length = strlen(word);
    for (const char *found = source; (found = strstr(found, word)); found += length)
        if ((found == source || strchr(" \t\r\n;}/", found[-1])) && found[length] && strchr(" \t\r\n{*'\"", found[length]))
            return true;
    return false;
}

static bool mentions(JSValueConst thrown, const char *word) {
    const char *text = JS_ToCString(context, thrown);
    bool found = text && strstr(text, word);
    JS_FreeCString(context, text);
    return found;
}

static int compile_module(const char *source, size_t length) {
    is_module = true;
    program = compile(source, length, JS_EVAL_TYPE_MODULE);
    if (!JS_IsException(program) && JS_ResolveModule(context, program) == 0)
        return DONE;
    emit_exception();
    return MALFORMED;
}

// Compiles a program, of which nothing is run, and finds the modules that it names. DONE, or MALFORMED with what is wrong.
EXPORT(analyse) int analyse(const char *source, size_t length, int must_be_module) {
    is_module = false;
    if (must_be_module)
        return compile_module(source, length);
    program = compile(source, length, JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_ASYNC);
    if (!JS_IsException(program))
        return DONE;
    JSValue thrown = JS_GetException(context);
    if (declares(source, "import") || declares(source, "export")) {
        JS_FreeValue(context, thrown);
        return compile_module(source, length);
    }
    program = compile_body(source, length);
    if (!JS_IsException(program)) {
        JS_FreeValue(context, thrown);
        host_emit(BODY, "", 0);
        return DONE;
    }
    // The other mistake of what has a `return` is the one to be told.
    JSValue of_body = JS_GetException(context);
    bool returns = mentions(thrown, "return");
    JS_FreeValue(context, returns ? thrown : of_body);
    if (returns)
        host_emit(BODY, "", 0);
    emit_thrown(returns ? of_body : thrown);
    return MALFORMED;
}

// Does what is to be done until `value` is no promise any more. An exception if it was rejected or never settles.
static JSValue settle(JSValue value) {
    JSContext *of_job;
    while (JS_IsPromise(value)) {
        while (JS_PromiseState(context, value) == JS_PROMISE_PENDING) {
            int done = JS_ExecutePendingJob(runtime, &of_job);
            if (done < 0)
                JS_FreeValue(context, JS_GetException(context));
            if (done == 0) {
                JS_FreeValue(context, value);
                return JS_ThrowPlainError(context, "the program waits for a promise that nothing will settle");
            }
        }
        bool rejected_it = JS_PromiseState(context, value) == JS_PROMISE_REJECTED;
        if (rejected_it)
            JS_PromiseMarkAsHandled(context, value);
        JSValue result = JS_PromiseResult(context, value);
        if (rejected_it)
            note_rejection(context, value, JS_UNDEFINED, true, NULL);
        JS_FreeValue(context, value);
        if (rejected_it)
            return JS_Throw(context, result);
        value = result;
    }
    return value;
}

static JSValue evaluate(int mode) {
    JSModuleDef *module = is_module ? JS_VALUE_GET_PTR(program) : NULL;
    JSValue value = settle(JS_EvalFunction(context, program));
    if (JS_IsException(value))
        return value;
    if (!module) {
        // The result of a script that may await comes in an object of its own.
        JSValue inner = JS_IsObject(value) ? JS_GetPropertyStr(context, value, "value") : JS_UNDEFINED;
        JS_FreeValue(context, value);
        return settle(inner);
    }
    JS_FreeValue(context, value);
    JSValue namespace = JS_GetModuleNamespace(context, module);
    value = JS_GetPropertyStr(context, namespace, mode == MODE_DESCRIBE ? "extractor" : "default");
    JS_FreeValue(context, namespace);
    if (mode == MODE_CALL && !JS_IsException(value)) {
        JSValue global = JS_GetGlobalObject(context);
        JSValue input = JS_GetPropertyStr(context, global, "input");
        JSValue function = value;
        value = JS_Call(context, function, JS_UNDEFINED, 1, (JSValueConst *)&input);
        JS_FreeValue(context, function);
        JS_FreeValue(context, input);
        JS_FreeValue(context, global);
    }
    return settle(value);
}

// What is left to do is done before the program has ended.
static void finish_jobs(void) {
    JSContext *of_job;
    int done;
    while ((done = JS_ExecutePendingJob(runtime, &of_job)))
        if (done < 0)
            JS_FreeValue(context, JS_GetException(context));
    while (rejected) {
        static const char UNHANDLED[] = "unhandled rejection: ";
        host_emit(ERR, UNHANDLED, sizeof UNHANDLED - 1);
        JSValue reason = take_rejection(0);
        log_argument(ERR, reason);
        JS_FreeValue(context, reason);
        host_emit(ERR, "\n", 1);
    }
}

static int emit_result(JSValue value) {
    if (JS_IsException(value))
        return emit_exception();
    JSValue json = JS_JSONStringify(context, value, JS_UNDEFINED, JS_UNDEFINED);
    JS_FreeValue(context, value);
    if (JS_IsException(json))
        return emit_exception();
    if (JS_IsString(json))
        emit_value(VALUE, json);
    JS_FreeValue(context, json);
    return DONE;
}

// Runs what was analysed. DONE with a value, unless it is undefined; or FAILED with what was thrown.
EXPORT(run) int run(int mode) {
    JSValue value = evaluate(mode);
    int done = emit_result(value);
    finish_jobs();
    return done;
}
