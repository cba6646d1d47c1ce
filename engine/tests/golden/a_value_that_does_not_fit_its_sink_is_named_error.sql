/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:03,z,300
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE alerts (k TEXT, n TINYINT) WITH (connector = 'sink');
INSERT INTO alerts SELECT k, v FROM flows;
/* expected error
line 8, column 30: task `0/0/0`: expression `CAST(v AS Int8)` fails: Cast error: Can't cast value 300 to type Int8; `v` is 300; in `0`, read from position 1: {"k":"z","v":300}; say on_error = 'null' for the table, or 'dead_letter' with a dead_letter_table
*/
