/* input flows
x,1
y,2
x,3
*/
CREATE TABLE flows (k TEXT, v BIGINT) WITH (connector = 'test', format = 'csv');
CREATE TABLE out (v BIGINT) WITH (connector = 'sink');
INSERT INTO out SELECT v FROM flows WHERE k = 'x';
/* expected out
1
3
*/
