CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows
WHERE v + ts > 1;
/* expected error
line 3, column 1: cannot coerce arithmetic expression Int64 + Timestamp(ns) to valid types
*/
