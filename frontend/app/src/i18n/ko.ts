// Every text of these pages in Korean.

import type { TextKey } from './en';
import { app } from './ko/app';
import { code } from './ko/code';
import { people } from './ko/people';
import { project } from './ko/project';
import { work } from './ko/work';

export const ko: Record<TextKey, string> = { ...app, ...project, ...code, ...work, ...people };
