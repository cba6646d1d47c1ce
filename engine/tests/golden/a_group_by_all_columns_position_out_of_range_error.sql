CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS w, count(*) AS n FROM flows
GROUP BY 1, 2, 4;
/* expected error
line 3, column 1: cannot find column with position 4 in SELECT clause. Valid columns: 1 to 3
*/
