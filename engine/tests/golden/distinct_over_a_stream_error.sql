CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT DISTINCT k FROM flows;
/* expected error
line 3, column 8: DISTINCT without a window would have to remember every row; GROUP BY the columns and a window instead
*/
