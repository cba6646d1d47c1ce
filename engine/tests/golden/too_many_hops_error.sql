CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, hop(INTERVAL '1 nanosecond', INTERVAL '10 days');
/* expected error
line 4, column 13: hop: slide and width have no common divisor of a millisecond or more; write both in whole milliseconds
*/
