/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,9
1970-01-01 00:01:03,z,20
@commit
@commit
@commit
1970-01-01 00:01:04,y,30
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT k, window, v FROM per_key
WHERE v >= (SELECT avg(v) FROM per_key);
/* expected error
line 14, column 13: a join or sub-query over windows must be on the same window; add `a.window = b.window` to the condition; a sub-query must be correlated on the window
*/
