hello world;
/* expected error
line 1, column 1: statement `hello` is not supported; a script has CREATE TABLE, CREATE VIEW, CREATE FUNCTION, INSERT INTO, SELECT and SET
*/
