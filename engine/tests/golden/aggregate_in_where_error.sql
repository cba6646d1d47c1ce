CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows
WHERE count(*) > 1 GROUP BY k, tumble(INTERVAL '1 minute');
/* expected error
line 4, column 7: aggregate functions are not allowed in the WHERE clause. Consider using HAVING instead
*/
