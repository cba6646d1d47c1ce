CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml' WITH (backend = 'onnxruntime');
SELECT f(bytes_pp, gap_s) AS s FROM flows;
/* expected error
function `f`: the ONNX Runtime library is needed, and no path to it is given; run `make setup`, or set ORT_DYLIB_PATH to libonnxruntime.so 1.30 or newer
*/
