CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE out (k TEXT, v BIGINT) WITH (connector = 'sink');
INSERT INTO out (v, k) SELECT v, k FROM flows;
/* expected error
line 4, column 17: a column list after INSERT INTO is not supported; select the columns in the table's order
*/
