CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, tumble(INTERVAL 'soon');
/* expected error
line 3, column 1: arrow error: Parser error: Invalid input syntax for type interval: "soon"
*/
