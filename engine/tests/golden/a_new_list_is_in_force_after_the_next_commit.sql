/* no oracle: a batch has one list */
/* list hosts.csv
a,before
*/
/* next list hosts.csv
a,after
b,new
*/
/* input flows
2024-01-01T00:00:01,a,x,1,1
@commit
2024-01-01T00:00:02,a,x,1,2
@list hosts.csv
2024-01-01T00:00:03,b,x,1,3
@commit
2024-01-01T00:00:04,a,x,1,4
2024-01-01T00:00:05,b,x,1,5
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
CREATE TABLE hosts (name TEXT, role TEXT) WITH (connector = 'lookup', path = 'hosts.csv', format = 'csv', key = 'name');
SELECT n, sa, role FROM flows LEFT JOIN hosts ON name = sa;
/* expected results
1 | a | before
2 | a | before
3 | b | ∅
4 | a | after
5 | b | new
*/
