CREATE TABLE out (k TEXT) WITH (connector = 'sink');
INSERT INTO out VALUES ('x');
/* expected error
line 2, column 1: the query reads no table; add FROM with a source table
*/
