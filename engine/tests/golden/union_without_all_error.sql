CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows UNION SELECT k FROM flows WHERE v > 1;
/* expected error
line 3, column 21: DISTINCT without a window would have to remember every row; GROUP BY the columns and a window instead
*/
