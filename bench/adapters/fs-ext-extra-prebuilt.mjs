import fsExt from 'fs-ext-extra-prebuilt';
import { fsExtAdapter } from './fs-ext-adapter.mjs';

export default fsExtAdapter('fs-ext-extra-prebuilt', fsExt);
