/*
 * A host that knows nothing but the layouts: loads a plug-in, calls it, compares the result.
 *
 *   host LIBRARY FORMATS RETURNS ROWS < rows
 *
 * FORMATS has a format character of the Arrow C data interface for each argument, `g` (double) or `l` (int64); RETURNS is `g`. Each of the ROWS
 * lines has the arguments and then the wanted result, separated by spaces; `-` is null. Results may be off by 1e-6.
 *
 * The first row is behind the array's offset: it is put into the buffers, but not passed.
 * Prints what is wrong and ends with 1, or `ok: N rows`.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

struct FfiArraySchema { struct ArrowArray array; struct ArrowSchema schema; };
struct FfiArrays { struct FfiArraySchema *ptr; size_t len, capacity; bool error; };
struct RunResult { int tag; struct FfiArraySchema ok; };

_Static_assert(sizeof(struct ArrowArray) == 80 && sizeof(struct ArrowSchema) == 72, "the C data interface");
_Static_assert(sizeof(struct FfiArrays) == 32 && offsetof(struct RunResult, ok) == 8, "the ABI of plug-ins");

static int n_released;

static void fail(const char *what, const char *which) {
    printf("failed: %s %s\n", what, which ? which : "");
    exit(1);
}

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) fail("out of memory", NULL);
    return memory;
}

static void release_array(struct ArrowArray *array) {
    free((void *)array->buffers[0]);
    free((void *)array->buffers[1]);
    free(array->buffers);
    array->release = NULL;
    n_released++;
}

static void release_schema(struct ArrowSchema *schema) {
    schema->release = NULL;
    n_released++;
}

static bool is_valid(const uint8_t *bitmap, int64_t row) {
    return !bitmap || (bitmap[row / 8] >> (row % 8) & 1);
}

/* A column of `n` rows, all null yet, of which the first is skipped. */
static void make_column(struct FfiArraySchema *column, char format, int64_t n) {
    memset(column, 0, sizeof *column);
    column->array.length = n - 1;
    column->array.offset = 1;
    column->array.null_count = -1;
    column->array.n_buffers = 2;
    column->array.buffers = allocate(2 * sizeof(void *));
    column->array.buffers[0] = allocate((size_t)n / 8 + 1);
    column->array.buffers[1] = allocate((size_t)n * 8);
    column->array.release = release_array;
    column->schema.format = format == 'g' ? "g" : "l";
    column->schema.name = "";
    column->schema.flags = 2;
    column->schema.release = release_schema;
}

static void set(struct FfiArraySchema *column, int64_t row, const char *value) {
    if (strcmp(value, "-") == 0) return;
    ((uint8_t *)column->array.buffers[0])[row / 8] |= (uint8_t)(1 << (row % 8));
    if (column->schema.format[0] == 'g')
        ((double *)column->array.buffers[1])[row] = strtod(value, NULL);
    else
        ((int64_t *)column->array.buffers[1])[row] = strtoll(value, NULL, 10);
}

/* Compares rows 1.. of what was wanted with the result. */
static void compare(const struct FfiArraySchema *result, const double *wanted, const bool *is_null, int64_t n) {
    const struct ArrowArray *array = &result->array;
    if (!array->release || !result->schema.release) fail("the result is released", NULL);
    if (strcmp(result->schema.format, "g") != 0) fail("the result's type is", result->schema.format);
    if (array->length != n - 1) fail("the result has another length", NULL);
    for (int64_t row = 1; row < n; row++) {
        int64_t at = row - 1 + array->offset;
        bool valid = is_valid(array->buffers[0], at);
        double value = valid ? ((const double *)array->buffers[1])[at] : 0;
        if (valid == is_null[row] || (valid && !(fabs(value - wanted[row]) <= 1e-6))) {
            printf("row %lld: %.17g (valid: %d), wanted %.17g (valid: %d)\n", (long long)row, value, valid, wanted[row], !is_null[row]);
            fail("a result is wrong", NULL);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 5 || strcmp(argv[3], "g") != 0) fail("usage: host LIBRARY FORMATS g ROWS < rows", NULL);
    size_t n_columns = strlen(argv[2]);
    int64_t n = strtoll(argv[4], NULL, 10);

    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) fail("dlopen:", dlerror());
    struct RunResult (*run)(struct FfiArrays);
    *(void **)&run = dlsym(library, "__run");
    if (!run) fail("no __run in", argv[1]);

    /* From malloc: the plug-in frees it. */
    struct FfiArrays arguments = { malloc(n_columns * sizeof(struct FfiArraySchema)), n_columns, n_columns, false };
    if (!arguments.ptr) fail("out of memory", NULL);
    for (size_t column = 0; column < n_columns; column++) make_column(&arguments.ptr[column], argv[2][column], n);
    double *wanted = allocate((size_t)n * sizeof *wanted);
    bool *is_null = allocate((size_t)n * sizeof *is_null);
    for (int64_t row = 0; row < n; row++) {
        char value[64];
        for (size_t column = 0; column < n_columns; column++) {
            if (scanf("%63s", value) != 1) fail("rows are missing", NULL);
            set(&arguments.ptr[column], row, value);
        }
        if (scanf("%63s", value) != 1) fail("rows are missing", NULL);
        is_null[row] = strcmp(value, "-") == 0;
        wanted[row] = is_null[row] ? 0 : strtod(value, NULL);
    }

    struct RunResult result = run(arguments);
    if (result.tag != 0) {
        const char *(*last_error)(void);
        *(void **)&last_error = dlsym(library, "__last_error");
        const char *why = last_error ? last_error() : NULL;
        fail("the plug-in failed:", why ? why : "it gives no reason");
    }
    if (n_released != (int)(2 * n_columns)) fail("arguments were not released", NULL);
    compare(&result.ok, wanted, is_null, n);
    result.ok.array.release(&result.ok.array);
    result.ok.schema.release(&result.ok.schema);
    if (result.ok.array.release || result.ok.schema.release) fail("a release leaves its callback", NULL);
    free(wanted);
    free(is_null);
    printf("ok: %lld rows\n", (long long)n - 1);
    return 0;
}
