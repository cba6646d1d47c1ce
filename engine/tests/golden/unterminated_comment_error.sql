CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows; /* and so
/* expected error
line 7, column 1: Unexpected EOF while in a multi-line comment
*/
