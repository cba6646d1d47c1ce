/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:02,b,2
1970-01-01 00:00:03,a,4
1970-01-01 00:00:11,x,8
@commit
1970-01-01 00:00:12,c,16
1970-01-01 00:00:13,x,32
1970-01-01 00:00:21,d,64
@commit
1970-01-01 00:00:22,e,128
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', max_keys = '3');
SELECT k, session(INTERVAL '5 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w;
/* expected results
a | {start: 1970-01-01T00:00:01, end: 1970-01-01T00:00:08, is_cut: false} | 5
b | {start: 1970-01-01T00:00:02, end: 1970-01-01T00:00:07, is_cut: false} | 2
c | {start: 1970-01-01T00:00:12, end: 1970-01-01T00:00:17, is_cut: false} | 16
d | {start: 1970-01-01T00:00:21, end: 1970-01-01T00:00:26, is_cut: false} | 64
e | {start: 1970-01-01T00:00:22, end: 1970-01-01T00:00:27, is_cut: false} | 128
x | {start: 1970-01-01T00:00:11, end: 1970-01-01T00:00:18, is_cut: false} | 40
*/
