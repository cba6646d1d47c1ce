/* input flows
1970-01-01 00:00:01,key number 1,1
1970-01-01 00:00:02,key number 2,2
1970-01-01 00:00:03,key number 3,3
1970-01-01 00:00:04,key number 4,4
1970-01-01 00:00:05,key number 5,5
1970-01-01 00:00:06,key number 6,6
1970-01-01 00:00:07,key number 7,7
1970-01-01 00:00:08,key number 8,8
1970-01-01 00:00:09,key number 9,9
1970-01-01 00:00:10,key number 10,10
1970-01-01 00:00:11,key number 11,11
1970-01-01 00:00:12,key number 12,12
1970-01-01 00:00:13,key number 13,13
1970-01-01 00:00:14,key number 14,14
1970-01-01 00:00:15,key number 15,15
1970-01-01 00:00:16,key number 16,16
1970-01-01 00:00:17,key number 17,17
1970-01-01 00:00:18,key number 18,18
1970-01-01 00:00:19,key number 19,19
1970-01-01 00:00:20,key number 20,20
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SET memory = '4kB';
SELECT k, session(INTERVAL '1 minute') AS w, array_agg(v) AS vs FROM flows GROUP BY 1, 2;
/* expected results
key number 1 | {start: 1970-01-01T00:00:01, end: 1970-01-01T00:01:01, is_cut: false} | [1]
key number 10 | {start: 1970-01-01T00:00:10, end: 1970-01-01T00:01:10, is_cut: false} | [10]
key number 11 | {start: 1970-01-01T00:00:11, end: 1970-01-01T00:01:11, is_cut: false} | [11]
key number 12 | {start: 1970-01-01T00:00:12, end: 1970-01-01T00:01:12, is_cut: false} | [12]
key number 13 | {start: 1970-01-01T00:00:13, end: 1970-01-01T00:01:13, is_cut: false} | [13]
key number 14 | {start: 1970-01-01T00:00:14, end: 1970-01-01T00:01:14, is_cut: false} | [14]
key number 15 | {start: 1970-01-01T00:00:15, end: 1970-01-01T00:01:15, is_cut: false} | [15]
key number 16 | {start: 1970-01-01T00:00:16, end: 1970-01-01T00:01:16, is_cut: false} | [16]
key number 17 | {start: 1970-01-01T00:00:17, end: 1970-01-01T00:01:17, is_cut: false} | [17]
key number 18 | {start: 1970-01-01T00:00:18, end: 1970-01-01T00:01:18, is_cut: false} | [18]
key number 19 | {start: 1970-01-01T00:00:19, end: 1970-01-01T00:01:19, is_cut: false} | [19]
key number 2 | {start: 1970-01-01T00:00:02, end: 1970-01-01T00:01:02, is_cut: false} | [2]
key number 20 | {start: 1970-01-01T00:00:20, end: 1970-01-01T00:01:20, is_cut: false} | [20]
key number 3 | {start: 1970-01-01T00:00:03, end: 1970-01-01T00:01:03, is_cut: false} | [3]
key number 4 | {start: 1970-01-01T00:00:04, end: 1970-01-01T00:01:04, is_cut: false} | [4]
key number 5 | {start: 1970-01-01T00:00:05, end: 1970-01-01T00:01:05, is_cut: false} | [5]
key number 6 | {start: 1970-01-01T00:00:06, end: 1970-01-01T00:01:06, is_cut: false} | [6]
key number 7 | {start: 1970-01-01T00:00:07, end: 1970-01-01T00:01:07, is_cut: false} | [7]
key number 8 | {start: 1970-01-01T00:00:08, end: 1970-01-01T00:01:08, is_cut: false} | [8]
key number 9 | {start: 1970-01-01T00:00:09, end: 1970-01-01T00:01:09, is_cut: false} | [9]
*/
