CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
EXPLAIN SELECT k FROM flows;
/* expected error
line 3, column 1: EXPLAIN is a command, not a statement; run `davy explain` on the script
*/
