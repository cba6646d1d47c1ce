CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT k, v - lag(v) OVER (PARTITION BY k ORDER BY window) AS change FROM per_key;
/* expected error
line 4, column 1: internal error: Cannot run range queries on datatype: Struct("start": non-null Timestamp(ns), "end": non-null Timestamp(ns)); This issue was likely caused by a bug in DataFusion's code. Please help us to resolve this by filing a bug report in our issue tracker: https://github.com/apache/datafusion/issues
*/
