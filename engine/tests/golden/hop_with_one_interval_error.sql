CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, hop(INTERVAL '10 seconds');
/* expected error
line 4, column 13: failed to coerce arguments to satisfy a call to 'hop' function: coercion from Interval(MonthDayNano) to the signature Exact(Interval(MonthDayNano), Interval(MonthDayNano)) failed. No function matches the given name and argument types 'hop(Interval(MonthDayNano))'. You might need to add explicit type casts; Candidate functions:; hop(Interval(MonthDayNano), Interval(MonthDayNano))
*/
