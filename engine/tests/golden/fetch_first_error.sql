CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows FETCH FIRST 3 ROWS ONLY;
/* expected error
line 3, column 1: FETCH clause is not supported yet
*/
