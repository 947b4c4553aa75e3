/** Made by `build/korean.js`: texts by the number that the workbench has for them. */
declare module 'virtual:workbench-korean' {
  const texts: Readonly<Record<number, string>>;
  export default texts;
}
