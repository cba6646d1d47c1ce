CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, tumble();
/* expected error
line 4, column 13: 'tumble' does not support zero arguments. No function matches the given name and argument types 'tumble()'. You might need to add explicit type casts; Candidate functions:; tumble(Interval(MonthDayNano))
*/
