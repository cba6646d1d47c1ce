CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT *, tumble(INTERVAL '1 minute') AS window FROM flows GROUP BY k, window;
/* expected error
line 3, column 8: column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column "flows.ts" must appear in the GROUP BY clause or must be part of an aggregate function, currently only "flows.k, tumble(1m)" appears in the SELECT clause satisfies this requirement
*/
