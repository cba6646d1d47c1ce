/* no oracle: it has no limit */
/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:02,b,2
1970-01-01 00:00:03,c,4
1970-01-01 00:00:04,a,8
1970-01-01 00:00:05,d,16
1970-01-01 00:00:06,c,32
1970-01-01 00:00:12,c,64
1970-01-01 00:00:13,d,128
1970-01-01 00:00:21,d,256
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '2', overflow = 'drop_new');
CREATE VIEW sums AS SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w;
SELECT w.start, k, total, w.is_complete, w['is_complete'] AS again FROM sums;
-- Null for a window that an outer join has not found.
SELECT a.k, a.w.start, a.w.is_complete AS one, b.w.is_complete AS other FROM sums AS a LEFT JOIN sums AS b ON a.w = b.w AND a.k = b.k AND b.total < 10;
-- It is no part of the window, and may be a condition.
SELECT w, k FROM sums WHERE NOT w.is_complete;
-- One row for each window.
SELECT w.start, k, total, w.is_complete FROM sums ORDER BY total DESC LIMIT 1;
-- Windows without a key have one group.
SELECT w.start, n, w.is_complete FROM (SELECT tumble(INTERVAL '10 seconds') AS w, count(*) AS n FROM flows GROUP BY w);
/* expected counts
beyond the limit: 15 keys, 15 rows
*/
/* expected results
1970-01-01T00:00:00 | a | 9 | false | false
1970-01-01T00:00:00 | b | 2 | false | false
1970-01-01T00:00:10 | c | 64 | true | true
1970-01-01T00:00:10 | d | 128 | true | true
1970-01-01T00:00:20 | d | 256 | true | true
*/
/* expected results_2
a | 1970-01-01T00:00:00 | false | false
b | 1970-01-01T00:00:00 | false | false
c | 1970-01-01T00:00:10 | true | ∅
d | 1970-01-01T00:00:10 | true | ∅
d | 1970-01-01T00:00:20 | true | ∅
*/
/* expected results_3
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | a
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | b
*/
/* expected results_4
1970-01-01T00:00:00 | a | 9 | false
1970-01-01T00:00:10 | d | 128 | true
1970-01-01T00:00:20 | d | 256 | true
*/
/* expected results_5
1970-01-01T00:00:00 | 6 | true
1970-01-01T00:00:10 | 2 | true
1970-01-01T00:00:20 | 1 | true
*/
