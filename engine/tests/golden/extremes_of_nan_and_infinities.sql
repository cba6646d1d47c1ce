/* no oracle: batch DataFusion begins at the greatest finite number */
/* input flows
1970-01-01 00:00:05,a,inf
1970-01-01 00:00:06,b,0.0
1970-01-01 00:00:06,b,-0.0
1970-01-01 00:00:07,b,NaN
1970-01-01 00:00:08,b,inf
1970-01-01 00:00:09,c,-inf
1970-01-01 00:00:10,d,NaN
1970-01-01 00:00:10,d,NaN
1970-01-01 00:00:11,e,NaN
1970-01-01 00:00:12,e,-inf
1970-01-01 00:00:13,f,
1970-01-01 00:00:14,g,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, x DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW keys AS SELECT tumble(INTERVAL '1 minute') AS w, k, min(x) AS lo, max(x) AS hi,
    min(x) FILTER (WHERE x > 0) AS positive, max(x + (0.0 / 0.0)) AS nan FROM flows GROUP BY 1, 2;
SELECT * FROM keys;
SELECT w.start, length(k) AS l, min(lo) AS lo, max(lo) AS hi, min(hi) AS lo_of_hi, max(hi) AS hi_of_hi FROM keys GROUP BY w, length(k);
SELECT w.start, k, min(hi) OVER (PARTITION BY w) AS lo, max(lo) OVER (PARTITION BY w) AS hi FROM keys WHERE k <> 'f';
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | a | inf | inf | inf | NaN
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | b | 0.0 | NaN | inf | NaN
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | c | -inf | -inf | ∅ | NaN
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | d | NaN | NaN | NaN | NaN
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | e | -inf | NaN | NaN | NaN
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | f | ∅ | ∅ | ∅ | ∅
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | g | 1.0 | 1.0 | 1.0 | NaN
*/
/* expected results_2
1970-01-01T00:00:00 | 1 | -inf | NaN | -inf | NaN
*/
/* expected results_3
1970-01-01T00:00:00 | a | -inf | NaN
1970-01-01T00:00:00 | b | -inf | NaN
1970-01-01T00:00:00 | c | -inf | NaN
1970-01-01T00:00:00 | d | -inf | NaN
1970-01-01T00:00:00 | e | -inf | NaN
1970-01-01T00:00:00 | g | -inf | NaN
*/
