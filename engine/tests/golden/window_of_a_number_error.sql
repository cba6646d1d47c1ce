CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, tumble(60);
/* expected error
line 4, column 13: failed to coerce arguments to satisfy a call to 'tumble' function: coercion from Int64 to the signature Exact(Interval(MonthDayNano)) failed. No function matches the given name and argument types 'tumble(Int64)'. You might need to add explicit type casts; Candidate functions:; tumble(Interval(MonthDayNano))
*/
