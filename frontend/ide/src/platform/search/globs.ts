// Globs as the workbench gives them (`**/*.ts`, `{a,b}/**`), for paths without a leading slash.

function expression(glob: string): string {
  let text = '';
  for (let at = 0; at < glob.length; at += 1) {
    const letter = glob[at] ?? '';
    if (glob.startsWith('**/', at)) {
      text += '(?:.*/)?';
      at += 2;
    } else if (glob.startsWith('**', at)) {
      text += '.*';
      at += 1;
    } else if (letter === '*') text += '[^/]*';
    else if (letter === '?') text += '[^/]';
    else if (letter === '{') text += '(?:';
    else if (letter === '}') text += ')';
    else if (letter === ',') text += '|';
    else text += letter.replace(/[.+^$()|[\]\\]/, '\\$&');
  }
  return text;
}

/** Whether any of the globs matches a path, or a folder that the path is in. */
export function globs(patterns: readonly string[]): (path: string) => boolean {
  const compiled = patterns.map((pattern) => new RegExp(`^${expression(pattern.replace(/^\//, ''))}(?:/.*)?$`));
  return (path) => compiled.some((pattern) => pattern.test(path));
}
